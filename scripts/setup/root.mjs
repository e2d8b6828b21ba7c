import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { SetupError } from "./setup-error.mjs";

// Where root's programs live: a plain user's PATH often lacks the sbin folders.
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/**
 * Finds a program on the PATH and in the system's folders.
 * @returns {string | undefined} its absolute path
 */
export function findProgram(program, path = process.env.PATH ?? "") {
  return [...path.split(delimiter), ...SYSTEM_FOLDERS]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));
}

export function isRoot() {
  return process.getuid?.() === 0;
}

/** Whether root's rights can be had: by being root, or by sudo. */
export function canBecomeRoot() {
  return isRoot() || findProgram("sudo") !== undefined;
}

/**
 * Puts sudo before a command unless we are root. It never asks: `authorize` has done so.
 * @param {string[]} argv
 * @param {Record<string, string>} env variables for the command: sudo drops the caller's
 * @returns {string[]}
 */
export function asRoot(argv, env = {}) {
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const command = settings.length > 0 ? ["env", ...settings, ...argv] : argv;
  return isRoot() ? command : ["sudo", "-n", ...command];
}

/**
 * Has sudo ask for the password now, where it needs one and there is somebody to ask.
 * @param {import("./steps.mjs").StepContext["suspend"]} suspend frees the terminal meanwhile
 * @throws {SetupError} where root's rights are refused
 */
export async function authorize(suspend) {
  if (isRoot()) return;
  const argv = process.stdin.isTTY ? ["-v"] : ["-n", "-v"];
  const code = await suspend(
    () =>
      new Promise((resolve) => {
        const child = spawn("sudo", argv, { stdio: ["inherit", "ignore", "inherit"] });
        child.on("error", () => resolve(127));
        child.on("close", resolve);
      }),
  );
  if (code === 0) return;
  throw new SetupError(
    "This step needs root's rights, and sudo does not give them. Run `npm start` in a terminal, " +
      "where sudo can ask, or as root.",
  );
}
