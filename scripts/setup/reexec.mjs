import { spawn } from "node:child_process";

const MARK = "CLAWDSPACE_IN_GROUP";

/**
 * Runs this command again as a member of the group docker, which this process, older than the
 * membership, is not. Ends this process with the exit code of the other.
 */
export function rerunInDockerGroup() {
  if (process.env[MARK]) return Promise.resolve();
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
