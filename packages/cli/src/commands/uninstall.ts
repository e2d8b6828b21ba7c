import { existsSync } from "node:fs";
import { paths } from "../config-file.js";
import { confirm } from "../confirm.js";
import type { Context } from "../context.js";
import { CliError } from "../failure.js";
import { setUp } from "../installed.js";
import { daemonPid, endDaemon } from "../local-daemon.js";
import { unitFile } from "../systemd.js";

interface Removed {
  spaces: string[];
  volumes: string[];
  keptVolumes: string[];
  removed: string[];
  left: string[];
}
interface Daemon {
  runningDaemon(): Promise<string | undefined>;
  daemonAddress(): string;
}
interface Uninstall {
  uninstall(options: { volumes: boolean; config: string; data: string }): Promise<Removed>;
}

export async function run(
  { out }: Context,
  _: [],
  { volumes = false, force }: { volumes?: boolean; force?: boolean },
): Promise<undefined> {
  for (const user of [true, false]) {
    if (!existsSync(unitFile(user))) continue;
    const flag = user ? " --user" : "";
    throw new CliError("The daemon is a service here.", {
      hint: `First: clawdspace service uninstall${flag}`,
    });
  }
  const files = volumes ? ", with everything in their /workspace" : "; their /workspace is kept";
  if (!force) await confirm(`Remove every space of this machine${files}?`);
  const pid = daemonPid();
  if (pid !== undefined) await endDaemon(pid);
  // One that still runs would make anew what is removed.
  const { runningDaemon, daemonAddress } = await setUp<Daemon>("setup/daemon.mjs");
  if ((await runningDaemon()) !== undefined) {
    throw new CliError(`A daemon serves at ${daemonAddress()}, so nothing was removed.`, {
      hint: "End it first: Ctrl-C where `npm start` runs.",
    });
  }
  const { uninstall } = await setUp<Uninstall>("setup/uninstall.mjs");
  const { folder: config, data } = paths();
  process.env.CLAWDSPACE_DATA_DIR ??= data;
  const removed = await uninstall({ volumes, config, data });
  out.result(removed, () =>
    [
      ...removed.removed.map((line) => `${out.paint("green", "✓")} removed ${line}`),
      ...removed.left.map((line) => `${out.paint("yellow", "·")} left ${line}`),
    ].join("\n"),
  );
}
