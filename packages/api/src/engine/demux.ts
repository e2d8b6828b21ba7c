import type { Readable } from "node:stream";
import type { OutputChunk } from "./engine.js";

const HEADER_BYTES = 8;

/**
 * Takes Docker's multiplexed stream apart: frames of {stream, 0, 0, 0, length as 4 bytes big-endian} and payload.
 * Yields payload as it comes, whole frames or parts of them, at the reader's pace. A stream that breaks off
 * inside a frame ends like any other: what was sent has been yielded.
 */
export async function* demux(source: Readable): AsyncGenerator<OutputChunk> {
  let header: Buffer = Buffer.alloc(0);
  let stream: OutputChunk["stream"] = "stdout";
  let remaining = 0;
  for await (const piece of source as AsyncIterable<Buffer>) {
    let rest = piece;
    while (rest.length > 0) {
      if (remaining > 0) {
        const data = rest.subarray(0, remaining);
        remaining -= data.length;
        rest = rest.subarray(data.length);
        yield { stream, data };
        continue;
      }
      const needed = HEADER_BYTES - header.length;
      header =
        header.length === 0
          ? rest.subarray(0, needed)
          : Buffer.concat([header, rest.subarray(0, needed)]);
      rest = rest.subarray(needed);
      if (header.length < HEADER_BYTES) break;
      stream = header[0] === 2 ? "stderr" : "stdout";
      remaining = header.readUInt32BE(4);
      header = Buffer.alloc(0);
    }
  }
}
