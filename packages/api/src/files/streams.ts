import { once } from "node:events";
import {
  pipeline,
  type Readable,
  Transform,
  type TransformCallback,
  type Writable,
} from "node:stream";
import type { GuestFileWriter, GuestStat } from "../guest/types.js";

/**
 * Writes a source into a file at the file's pace, and resolves when the file is complete. Where either side fails, the
 * file stays as it was; the source is left as it is, so that its sender can still be answered.
 */
export async function pour(
  source: Readable,
  { stream, result }: GuestFileWriter,
): Promise<GuestStat> {
  result.catch(() => {});
  try {
    for await (const piece of source.iterator({ destroyOnReturn: false })) {
      if (stream.destroyed) break;
      if (!stream.write(piece)) await writable(stream);
    }
    if (!stream.destroyed) stream.end();
  } catch (error) {
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
    // Not before the file is given up for good.
    await result.catch(() => {});
    throw error;
  }
  return await result;
}

async function writable(stream: Writable): Promise<void> {
  if (stream.destroyed) return;
  const settled = new AbortController();
  const { signal } = settled;
  try {
    await Promise.race([
      once(stream, "drain", { signal }),
      new Promise((resolve) => stream.once("close", resolve)),
    ]);
  } catch {
    // It failed; its result says why.
  } finally {
    settled.abort();
  }
}

/** Says that a file gave fewer bytes than it had when it was opened. */
export class CutShort extends Error {
  override readonly name = "CutShort";
}

/** A stream as exactly `length` bytes: what is more is cut, fewer fail with `CutShort`. */
export function exactly(source: Readable, length: number): Readable {
  let left = length;
  const exact = new Transform({
    transform(piece: Buffer, _encoding, callback: TransformCallback) {
      const wanted = piece.length <= left ? piece : piece.subarray(0, left);
      left -= wanted.length;
      callback(null, wanted);
    },
    flush(callback) {
      callback(left > 0 ? new CutShort("the file became shorter while it was read") : null);
    },
  });
  return pipeline(source, exact, () => {});
}
