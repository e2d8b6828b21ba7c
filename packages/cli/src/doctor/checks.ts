import { statSync } from "node:fs";
import { clockFinding, type Doctor, type Finding } from "@clawdspace/client";
import { paths } from "../config-file.js";
import type { Context } from "../context.js";
import { describe } from "../failure.js";
import { VERSION } from "../version.js";
import { localFindings } from "./local-checks.js";

type Verdict = Omit<Finding, "name">;

const ok = (detail: string): Verdict => ({ status: "ok", detail });
const warning = (detail: string, fix: string): Verdict => ({
  status: "warning",
  detail,
  fix,
});
const failed = (detail: string, fix: string): Verdict => ({ status: "failed", detail, fix });

/**
 * From this end outwards: what this command works with, then what the daemon finds on its node; where no daemon tells, what can be
 * seen of this machine from here.
 */
export async function* findings(context: Context): AsyncGenerator<Finding> {
  yield { name: "Command line", ...ownVersions() };
  yield { name: "Config", ...config(context) };
  yield { name: "Daemon", ...(await daemon(context)) };
  yield { name: "Key", ...(await key(context)) };
  const told = await askDoctor(context);
  if (told) {
    yield* told.checks;
    yield clockFinding(Date.parse(told.checkedAt), Date.now());
  } else yield* localFindings(context);
}

function ownVersions(): Verdict {
  const { node } = process.versions;
  const [major = 0, minor = 0] = node.split(".").map(Number);
  const text = `${VERSION}, on Node.js ${node}`;
  if (major > 20 || (major === 20 && minor >= 19)) return ok(text);
  return failed(
    `${text}, which is too old`,
    "Install 20.19 or later: https://nodejs.org/en/download",
  );
}

function config({ environment, servers }: Context): Verdict {
  const { config: file } = paths(environment);
  servers().configured();
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) return ok("no profiles");
  if ((mode & 0o077) === 0) return ok(file);
  return warning(`others can read ${file}`, `chmod 600 ${file}`);
}

async function daemon(context: Context): Promise<Verdict> {
  const { url } = await context.server();
  try {
    const { version } = await (await context.clawdspace()).health();
    if (version === VERSION) return ok(`${version} at ${url}`);
    return warning(`${version} at ${url}, and this is ${VERSION}`, "Update the older one.");
  } catch (error) {
    return failed(describe(error).message, "`clawdspace up` starts one here.");
  }
}

async function key(context: Context): Promise<Verdict> {
  const { keyFrom } = await context.server();
  try {
    const { name, role } = await (await context.clawdspace()).session.get();
    return ok(`"${name}" (${role})${keyFrom ? `, from ${keyFrom}` : ""}`);
  } catch (error) {
    return failed(
      `${describe(error).message}${keyFrom ? ` (key from ${keyFrom})` : " (no key)"}`,
      "`clawdspace config set-key < FILE` keeps the key that the daemon showed.",
    );
  }
}

/** undefined where the daemon can't be asked, doesn't know this key, or is older than its doctor. */
async function askDoctor(context: Context): Promise<Doctor | undefined> {
  const clawdspace = await context.clawdspace();
  return await clawdspace.doctor().catch(() => undefined);
}
