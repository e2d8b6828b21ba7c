import type { Context } from "../context.js";
import { CliError } from "../failure.js";
import { daemonPid, endDaemon } from "../local-daemon.js";

export async function run({ out }: Context): Promise<undefined> {
  const pid = daemonPid();
  if (pid === undefined) {
    throw new CliError("No daemon that `clawdspace up` has started runs here.", {
      hint: "A service is ended with `systemctl stop clawdspace`; `npm start` with Ctrl-C.",
    });
  }
  if (!(await endDaemon(pid))) throw new CliError(`The daemon (process ${pid}) has not ended yet.`);
  out.result(
    { pid, ended: true },
    () => `${out.paint("green", "✓")} The daemon has ended; spaces go on`,
  );
}
