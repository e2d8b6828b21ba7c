import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** One parsed value for each line of JSON; ends quietly where the stream breaks off. */
export async function* jsonLines(stream: Readable): AsyncGenerator<unknown> {
  for await (const line of createInterface({
    input: stream,
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    if (line.trim()) yield JSON.parse(line) as unknown;
  }
}
