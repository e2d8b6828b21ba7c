import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { paths } from "../config-file.js";
import type { Context } from "../context.js";
import { CliError } from "../failure.js";
import { daemonEntry, setUp } from "../installed.js";
import { systemctl, unitFile } from "../systemd.js";
import { unitOf } from "../unit.js";

interface Steps {
  createSteps(): unknown;
}
interface Prepare {
  prepare(steps: unknown): Promise<{ address: string }>;
}

/** What of this command's environment the daemon is to have too. */
const PASSED =
  /^(PORT|HOST|DOCKER_HOST|IDLE_TIMEOUT_MS|NODES_REFRESH_MS|CLAWDSPACE_(?!KEY|SERVER|URL|PROFILE|.*SECRET).*)$/;

export async function run(
  { out, environment }: Context,
  _: [],
  { user = false, print }: { user?: boolean; print?: boolean },
): Promise<undefined> {
  const { folder: config, data } = paths();
  const passed = Object.entries(environment).filter(([name]) => PASSED.test(name));
  const unit = (engine?: string) =>
    unitOf({
      user,
      node: process.execPath,
      entry: daemonEntry(),
      config,
      data,
      environment: {
        ...(Object.fromEntries(passed) as Record<string, string>),
        ...(engine ? { DOCKER_HOST: engine } : {}),
      },
    });
  const file = unitFile(user);
  if (print) {
    out.result({ file, unit: unit() }, unit);
    return;
  }
  if (!user && process.getuid?.() !== 0) {
    throw new CliError("A service of the system is root's to install.", {
      hint: "Use sudo, or --user for a service of your own.",
    });
  }
  if (!existsSync("/run/systemd/system")) {
    throw new CliError("systemd doesn't run on this machine.", {
      hint: "`clawdspace up -d` runs the daemon in the background.",
    });
  }
  const { createSteps } = await setUp<Steps>("setup/steps.mjs");
  const { prepare } = await setUp<Prepare>("setup/prepare.mjs");
  const engine = await prepare(createSteps());
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, unit(engine.address));
  systemctl(user, ["daemon-reload"]);
  systemctl(user, ["enable", "--now", "clawdspace.service"]);
  if (user) tryLinger();
  out.result({ file }, () => `${out.paint("green", "✓")} The service runs: ${file}`);
}

/** Without it a user's services end with the last login. */
function tryLinger(): void {
  try {
    execFileSync("loginctl", ["enable-linger"], { stdio: "ignore" });
  } catch {
    process.stderr.write("It ends when you log out: `loginctl enable-linger` failed.\n");
  }
}
