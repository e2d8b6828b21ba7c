import { pipeline, type Readable, Transform, type TransformCallback } from "node:stream";
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
      if (!stream.write(piece)) await drained(stream);
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

const BLOCK_BYTES = 64 * 1024;

type Events = "drain" | "close";

/** Resolves when a stream takes more, or will never take any more. */
export function drained(stream: {
  destroyed: boolean;
  on(event: Events, listener: () => void): unknown;
  off(event: Events, listener: () => void): unknown;
}): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) return resolve();
    const done = () => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}

/**
 * The same bytes in pieces of about 64 KiB: a piece costs each process on its way the same, however small it is. What is
 * left over comes with the end of the source.
 */
export async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let length = 0;
  for await (const piece of source) {
    if (length + piece.length > BLOCK_BYTES) {
      if (length > 0) yield block.subarray(0, length);
      block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      length = 0;
    }
    if (piece.length > BLOCK_BYTES) {
      yield piece;
    } else {
      block.set(piece, length);
      length += piece.length;
    }
  }
  if (length > 0) yield block.subarray(0, length);
}

/** Says that a file gave fewer bytes than it had when it was opened. */
export class CutShort extends Error {
  override readonly name = "CutShort";
}

/** A stream whose failure is no news to the process once nobody reads it any more. Whoever reads it learns of it. */
export function quiet<T extends Readable>(stream: T): T {
  stream.on("error", () => {});
  return stream;
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
  return quiet(pipeline(source, exact, () => {}));
}
