import type { Readable, Writable } from "node:stream";
import { drained } from "./streams.js";

/**
 * Writes a source into a command's stdin at the command's pace, then `mark`, then ends it. Resolves early where the
 * command stops reading: its exit says why. Throws what the source fails with; the stdin then ends without the mark.
 */
export async function feed(
  source: Readable,
  stdin: Writable,
  mark: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    for await (const piece of source as AsyncIterable<Buffer>) {
      signal?.throwIfAborted();
      if (stdin.destroyed || stdin.writableEnded) return;
      if (!stdin.write(piece)) await drained(stdin);
    }
    signal?.throwIfAborted();
    if (!stdin.destroyed) stdin.write(mark);
  } finally {
    stdin.end();
  }
}
