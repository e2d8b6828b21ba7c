import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "./root.mjs";
import { track } from "./run.mjs";
import { SetupError } from "./setup-error.mjs";

/**
 * Lets one set-up of a user run at a time: they share the clone, the engine and the image. The
 * kernel keeps the lock (flock) and frees it however its holder ends.
 * @param {(line: string) => void} say tells that it waits
 * @returns {Promise<() => void>} releases the lock
 */
export async function takeLock(
  say,
  file = join(tmpdir(), `clawdspace-setup-${process.getuid?.()}.lock`),
) {
  if (findProgram("flock") === undefined) return () => {};
  const descriptor = openSync(file, "a", 0o600);
  if (!(await flock(["--nonblock"], descriptor))) {
    say("… Waiting for another set-up on this machine to finish");
    if (!(await flock([], descriptor))) throw new SetupError(`${file} cannot be locked.`);
  }
  let held = true;
  return () => {
    if (held) closeSync(descriptor);
    held = false;
  };
}

/** The lock belongs to the open file, which the child shares: it outlives the child. */
function flock(options, descriptor) {
  return new Promise((resolve) => {
    const child = spawn("flock", [...options, "3"], {
      stdio: ["ignore", "ignore", "ignore", descriptor],
    });
    track(child).on("close", (code) => resolve(code === 0));
  });
}
