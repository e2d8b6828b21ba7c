import { spawn } from "node:child_process";
import { SetupError } from "./setup-error.mjs";

const MARK = "CLAWDSPACE_IN_GROUP";

/**
 * Runs this command again as a member of the group docker, which this process, older than the
 * membership, is not. Ends this process with the exit code of the other.
 */
export function rerunInDockerGroup() {
  if (process.env[MARK]) {
    throw new SetupError("You are in the group docker now. Log in again, then run this once more.");
  }
  const quote = (word) => `'${word.replaceAll("'", "'\\''")}'`;
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn("sg", ["docker", "-c", `exec ${command.map(quote).join(" ")}`], {
    stdio: "inherit",
    env: { ...process.env, [MARK]: "1" },
  });
  // From a terminal the signal reaches the whole group of processes, so it is not passed on.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((_, reject) => {
    child.on("error", reject);
    child.on("close", (code) => process.exit(code ?? 1));
  });
}
