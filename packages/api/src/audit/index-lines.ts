import { open } from "node:fs/promises";
import { decodeLine } from "./audit-line.js";
import { BlockIndex } from "./block-index.js";

const CHUNK_BYTES = 1024 ** 2;
const NEWLINE = 10;

/**
 * Indexes a file of lines up to its last newline. A line that is no event is counted to its block, where it is passed
 * over by readers and found by `verify`.
 */
export async function indexLines(path: string): Promise<BlockIndex> {
  const index = new BlockIndex();
  let last = { id: 0, ts: new Date(0).toISOString(), type: "" };
  for await (const line of readLines(path)) {
    const event = decodeLine(line.toString("utf8"));
    if (event) last = { id: event.id, ts: event.ts, type: "" };
    index.add(event ?? last, line.length + 1);
  }
  return index;
}

/** The lines of a file, without their newlines; what follows the last newline is none. */
export async function* readLines(path: string): AsyncGenerator<Buffer> {
  const handle = await open(path, "r");
  try {
    let rest = Buffer.alloc(0);
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES);
      if (bytesRead === 0) return;
      const data = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      rest = data.subarray(yield* splitLines(data));
    }
  } finally {
    await handle.close();
  }
}

/** Yields the whole lines of a piece of text and returns where the rest begins. */
export function* splitLines(data: Buffer): Generator<Buffer, number> {
  let start = 0;
  for (;;) {
    const end = data.indexOf(NEWLINE, start);
    if (end < 0) return start;
    yield data.subarray(start, end);
    start = end + 1;
  }
}
