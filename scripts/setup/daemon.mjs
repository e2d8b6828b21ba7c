import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { DAEMON } from "./build.mjs";
import { SetupError } from "./setup-error.mjs";

const DEFAULT_PORT = 7777;

/** Where the daemon is, or will be, reached from this machine. */
export function daemonAddress(env = process.env) {
  return `http://localhost:${env.PORT || DEFAULT_PORT}`;
}

/** @returns {Promise<string | undefined>} the version of the daemon that serves there already */
export async function runningDaemon() {
  try {
    const answer = await fetch(`${daemonAddress()}/api/health`, {
      signal: AbortSignal.timeout(2_000),
    });
    const health = await answer.json();
    return health?.status === "ok" ? String(health.version) : undefined;
  } catch {
    return undefined;
  }
}

/** Says where the API key comes from; the daemon itself makes and shows a new one. */
export function keyOrigin(env = process.env) {
  if (env.CLAWDSPACE_AUTH_DISABLED === "true" || env.CLAWDSPACE_AUTH_DISABLED === "1") {
    return "none: CLAWDSPACE_AUTH_DISABLED is set";
  }
  if (env.API_KEY) return "from API_KEY";
  const config = env.XDG_CONFIG_HOME || join(homedir(), ".config");
  const file = join(env.CLAWDSPACE_CONFIG_DIR || join(config, "clawdspace"), "api-key");
  return existsSync(file) ? `in ${file}` : `a new one, to be kept in ${file}`;
}

/**
 * Runs the daemon in this process: a signal reaches it once, and its exit code is ours. Throws `SetupError` where it can't
 * begin to serve.
 * @param {string} engine the address it is to use
 */
export async function runDaemon(engine) {
  process.env.DOCKER_HOST = engine;
  await import(pathToFileURL(DAEMON).href).catch((cause) => {
    throw new SetupError(cause.message, { cause });
  });
}
