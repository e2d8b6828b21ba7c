import { appendFile, open } from "node:fs/promises";
import { decodeLine, readLink } from "./audit-line.js";

const NEWLINE = 10;
/** No line is as long. */
const TAIL_BYTES = 1024 ** 2;

/**
 * Makes a log's file end with a whole event: what a crash left behind it, part of an event that no request was answered
 * for, is moved to another file. Returns how many bytes that were. Throws where no event is found near the end.
 */
export async function cutTornEnd(path: string, damaged: string): Promise<number> {
  const handle = await open(path, "r+").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!handle) return 0;
  try {
    const { size } = await handle.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const tail = Buffer.alloc(size - from);
    await handle.read(tail, 0, tail.length, from);
    const whole = wholeBytes(tail);
    if (whole === 0 && from > 0) {
      throw new Error(`${path} ends with a megabyte that is no audit log. Move the file away.`);
    }
    if (whole === tail.length) return 0;
    await appendFile(damaged, tail.subarray(whole), { mode: 0o600 });
    await handle.truncate(from + whole);
    await handle.sync();
    return tail.length - whole;
  } finally {
    await handle.close();
  }
}

/** How much of a file's end is there up to the end of its last whole event. */
function wholeBytes(tail: Buffer): number {
  let end = tail.lastIndexOf(NEWLINE) + 1;
  while (end > 0) {
    const start = tail.lastIndexOf(NEWLINE, end - 2) + 1;
    const line = tail.subarray(end > 1 ? start : 0, end - 1);
    if (readLink(line) && decodeLine(line.toString("utf8"))) return end;
    end = end > 1 ? start : 0;
  }
  return 0;
}
