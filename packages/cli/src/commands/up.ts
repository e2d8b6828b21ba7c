import { spawn } from "node:child_process";
import { mkdirSync, openSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { paths, readOptional } from "../config-file.js";
import type { Context } from "../context.js";
import { CliError, EXIT } from "../failure.js";
import { setUp } from "../installed.js";
import { logFile, noteDaemon } from "../local-daemon.js";

interface Daemon {
  daemonAddress(): string;
  runningDaemon(): Promise<string | undefined>;
}

export async function run(
  context: Context,
  _: [],
  { detach }: { detach?: boolean },
): Promise<number | undefined> {
  process.env.CLAWDSPACE_DATA_DIR ??= paths().data;
  if (detach) return await inBackground(context);
  noteDaemon();
  // From here on the set-up and then the daemon decide what a signal does.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(signal);
  await setUp("start.mjs");
  return await new Promise<never>(() => {});
}

/** Starts `up` in a process of its own and waits until it serves, or has failed. */
async function inBackground({ out }: Context): Promise<number> {
  const { daemonAddress, runningDaemon } = await setUp<Daemon>("setup/daemon.mjs");
  const already = await runningDaemon();
  if (already !== undefined) {
    const answer = { url: daemonAddress(), version: already, started: false };
    out.result(answer, () => `Clawdspace ${already} already serves at ${answer.url}`);
    return EXIT.ok;
  }
  mkdirSync(paths().data, { recursive: true, mode: 0o700 });
  const log = openSync(logFile(), "w", 0o600);
  const child = spawn(process.execPath, [process.argv[1] ?? "", "up"], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  let exitCode: number | null | undefined;
  child.once("exit", (code) => {
    exitCode = code ?? 1;
  });
  for (;;) {
    const version = await runningDaemon();
    if (version !== undefined) {
      child.unref();
      const answer = {
        url: daemonAddress(),
        version,
        started: true,
        pid: child.pid,
        log: logFile(),
      };
      out.result(
        answer,
        () => `${out.paint("green", "✓")} Clawdspace ${version} serves at ${answer.url}`,
      );
      return EXIT.ok;
    }
    if (exitCode !== undefined) {
      throw new CliError(`The daemon did not start.\n${readOptional(logFile())?.trim() ?? ""}`, {
        hint: "`clawdspace up`, without -d, shows what happens; `clawdspace doctor` looks for a reason.",
      });
    }
    out.progress(`… ${readOptional(logFile())?.trim().split("\n").at(-1) ?? "starting"}`);
    await delay(200);
  }
}
