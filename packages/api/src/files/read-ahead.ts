import type { TreeEntry } from "./space-files.js";

/** Files up to this size are read before their turn, so many of them at once. */
export const SMALL_BYTES = 64 * 1024;
const AHEAD = 16;

/** `content` is what a small file holds, where it was asked for already; undefined where it has grown since it was listed. */
export type ReadAheadEntry = TreeEntry & { content?: Promise<Buffer | undefined> };

/**
 * The same entries in the same order. Of small files the contents are asked for ahead, as a folder of thousands would wait
 * for an answer thousands of times otherwise; at most a MiB of them is held.
 */
export async function* readAhead(tree: AsyncIterable<TreeEntry>): AsyncGenerator<ReadAheadEntry> {
  const waiting: ReadAheadEntry[] = [];
  for await (const entry of tree) {
    const { type, size } = entry.facts;
    const ahead = type === "file" && size <= SMALL_BYTES ? entry.readSmall : undefined;
    if (ahead) {
      const content = ahead(SMALL_BYTES);
      // Whose turn never comes has nobody who waits for it.
      content.catch(() => {});
      waiting.push({ ...entry, content });
    } else {
      waiting.push(entry);
    }
    // Any other file can be opened only until the next entry is asked for.
    const kept = type === "file" && !ahead ? 0 : AHEAD - 1;
    for (let next = waiting[0]; next && waiting.length > kept; next = waiting[0]) {
      waiting.shift();
      yield next;
    }
  }
  yield* waiting;
}
