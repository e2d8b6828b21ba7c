import type { Readable } from "node:stream";
import type { GuestFiles, GuestReadOptions, GuestStat } from "../guest/types.js";

/** What is known of a file; a sleeping space's files have no owner and no etag, as the engine tells neither. */
export type FileFacts = Pick<GuestStat, "type" | "size" | "mtimeMs" | "mode"> &
  Partial<Pick<GuestStat, "uid" | "gid" | "etag">>;

/** `target` is a symlink's, where the listing tells it anyway. */
export type DirEntry = FileFacts & { name: Buffer; target?: Buffer };

/** Reading a space's files. Paths are bytes relative to /workspace ("." is itself); failures are `GuestError`. */
export interface ReadableFiles {
  stat(path: Buffer, options?: { followLinks?: boolean }): Promise<FileFacts>;
  list(
    path: Buffer,
    options?: { cursor?: string; limit?: number },
  ): Promise<{ entries: DirEntry[]; cursor?: string }>;
  read(path: Buffer, options?: GuestReadOptions): Promise<{ stat: FileFacts; stream: Readable }>;
  readAll(
    path: Buffer,
    options: { maxBytes: number; signal?: AbortSignal },
  ): Promise<{ stat: FileFacts; data: Buffer; truncated: boolean }>;
  readlink(path: Buffer): Promise<Buffer>;
  /** Everything below a folder in one go, where that is cheaper than listing folder by folder. */
  tree?(path: Buffer, options: TreeOptions): AsyncIterable<TreeEntry>;
}

/** All that can be done with the files of a space that is awake. */
export type SpaceFiles = ReadableFiles &
  Pick<
    GuestFiles,
    "write" | "writeAll" | "mkdir" | "rename" | "copy" | "remove" | "chmod" | "symlink"
  >;

export interface TreeOptions {
  signal: AbortSignal;
  /** Whether contents are wanted; names alone must stay cheap. */
  contents: boolean;
  /** Told of each entry that is passed over since the space's user may not read it. */
  onLeftOut: () => void;
}

export interface TreeEntry {
  /** Relative to the folder that was asked for. */
  path: Buffer;
  facts: FileFacts;
  /** Where a symlink points to, told at once or to be asked for. */
  target?: Buffer;
  readTarget?(): Promise<Buffer>;
  /** A file's size and bytes; works until the next entry is asked for. */
  open(): Promise<{ size: number; stream: Readable }>;
  /** All of a file that has at most so many bytes, else undefined; works beside those of other entries. */
  readSmall?(maxBytes: number): Promise<Buffer | undefined>;
}
