import { existsSync, rmSync } from "node:fs";
import type { Context } from "../context.js";
import { CliError } from "../failure.js";
import { systemctl, unitFile } from "../systemd.js";

export async function run(
  { out }: Context,
  _: [],
  { user = false }: { user?: boolean },
): Promise<undefined> {
  const file = unitFile(user);
  if (!existsSync(file)) throw new CliError(`There is no service: ${file} is not there.`);
  systemctl(user, ["disable", "--now", "clawdspace.service"]);
  rmSync(file);
  systemctl(user, ["daemon-reload"]);
  out.result(
    { file },
    () => `${out.paint("green", "✓")} The service is gone; spaces, key and data are kept`,
  );
}
