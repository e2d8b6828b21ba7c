import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { CliError } from "../failure.js";

/** What a run of `tar` prints on stderr, kept to be told. */
const MAX_COMPLAINT_BYTES = 4096;

/**
 * Packs `names` of a folder, each ended by a NUL byte, as this machine's tar does: every kind of name, and links, survive.
 * @param deep with what is in those that are folders
 */
export function pack(
  folder: string,
  names: Buffer,
  { deep }: { deep: boolean },
): { output: Readable; done: Promise<void> } {
  // Said only where it is not wanted: BSD's tar has no word for what both do by themselves.
  const own = deep ? [] : ["--no-recursion"];
  const args = ["-C", folder, "--null", ...own, "-T", "-", "-c", "-f", "-"];
  const child = spawn("tar", args, { stdio: ["pipe", "pipe", "pipe"] });
  const done = ending(child);
  done.catch(() => {});
  child.stdin.on("error", () => {});
  child.stdin.end(names);
  return { output: child.stdout, done };
}

/** Unpacks into a folder, as this user's files whatever the archive says; nothing lands outside of it. */
export function unpack(folder: string): { input: Writable; done: Promise<void> } {
  const owner = ["--no-same-owner", "--no-same-permissions"];
  const child = spawn("tar", ["-C", folder, ...owner, "-x", "-f", "-"], {
    stdio: ["pipe", "ignore", "pipe"],
  });
  const done = ending(child);
  done.catch(() => {});
  child.stdin.on("error", () => {});
  return { input: child.stdin, done };
}

function ending(child: ChildProcess): Promise<void> {
  let complaint = "";
  child.stderr?.on("data", (data: Buffer) => {
    if (complaint.length < MAX_COMPLAINT_BYTES) complaint += data;
  });
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      const missing = error.code === "ENOENT";
      reject(
        missing
          ? new CliError(
              "Folders are copied through the program tar, which is not on this machine.",
            )
          : error,
      );
    });
    child.once("close", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(new CliError(`tar failed (${signal ?? code}): ${complaint.trim() || "no reason"}`));
    });
  });
}
