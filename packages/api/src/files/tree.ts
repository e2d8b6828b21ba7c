import { GuestError } from "../guest/types.js";
import type { ReadableFiles, TreeEntry, TreeOptions } from "./space-files.js";

const MAX_DEPTH = 256;

/** A folder with everything below it, parents first, in whatever way is cheap there. What vanishes meanwhile is left out. */
export function treeOf(
  files: ReadableFiles,
  folder: Buffer,
  options: TreeOptions,
): AsyncIterable<TreeEntry> {
  return files.tree?.(folder, options) ?? walk(files, folder, Buffer.alloc(0), options, 0);
}

async function* walk(
  files: ReadableFiles,
  folder: Buffer,
  below: Buffer,
  options: TreeOptions,
  depth: number,
): AsyncGenerator<TreeEntry> {
  if (depth > MAX_DEPTH) throw new GuestError("limit", `folders lie more than ${MAX_DEPTH} deep`);
  let cursor: string | undefined;
  do {
    options.signal.throwIfAborted();
    const at = below.length === 0 ? folder : joined(folder, below);
    const page = await files.list(at, cursor === undefined ? {} : { cursor }).catch((error) => {
      if (depth === 0 || !isLeftOut(error)) throw error;
      if (!isGone(error)) options.onLeftOut();
      return { entries: [], cursor: undefined };
    });
    for (const { name, target, ...facts } of page.entries) {
      const path = below.length === 0 ? name : joined(below, name);
      const full = joined(folder, path);
      yield {
        path,
        facts,
        ...(target ? { target } : {}),
        ...(facts.type === "symlink" && !target ? { readTarget: () => files.readlink(full) } : {}),
        open: async () => {
          const { stat, stream } = await files.read(full, { signal: options.signal });
          return { size: stat.size, stream };
        },
        readSmall: async (maxBytes) => {
          const { data, truncated } = await files.readAll(full, { maxBytes });
          return truncated ? undefined : data;
        },
      };
      if (facts.type === "dir") yield* walk(files, folder, path, options, depth + 1);
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** Whether an error says that something was removed, or turned into something else, since it was listed. */
export const isGone = (error: unknown) =>
  error instanceof GuestError &&
  ["not_found", "not_directory", "outside", "invalid"].includes(error.code);

/** Whether an error says that an entry of a tree can't be had, while the others may. */
export const isLeftOut = (error: unknown) =>
  isGone(error) || (error instanceof GuestError && error.code === "permission");

const joined = (folder: Buffer, name: Buffer) => Buffer.concat([folder, Buffer.from("/"), name]);
