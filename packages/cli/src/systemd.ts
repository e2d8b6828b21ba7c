import { execFileSync } from "node:child_process";
import { homedir } from "node:os";
import { join } from "node:path";
import { CliError } from "./failure.js";

export function unitFile(user: boolean): string {
  if (!user) return "/etc/systemd/system/clawdspace.service";
  const config = process.env.XDG_CONFIG_HOME || join(homedir(), ".config");
  return join(config, "systemd/user/clawdspace.service");
}

export function systemctl(user: boolean, args: string[]): void {
  const all = [...(user ? ["--user"] : []), ...args];
  try {
    execFileSync("systemctl", all, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
  } catch (error) {
    const { stderr = "", message } = error as { stderr?: string; message: string };
    throw new CliError(`systemctl ${all.join(" ")} failed: ${stderr.trim() || message}`);
  }
}
