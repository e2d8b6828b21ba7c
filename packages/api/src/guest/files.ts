import {
  decodeEntries,
  decodeListDir,
  decodeReadlink,
  decodeStat,
  decodeStatvfs,
  encodeChmod,
  encodeCopy,
  encodeListDir,
  encodeMkdir,
  encodeReadlink,
  encodeRemove,
  encodeRename,
  encodeStat,
  encodeStatvfs,
  encodeSymlink,
} from "./file-codec.js";
import { readFile } from "./file-read.js";
import { readWhole, writeWhole } from "./file-whole.js";
import { writeFile } from "./file-write.js";
import { WRITE_WINDOW } from "./frames.js";
import type { GuestLink } from "./link.js";
import { nothing } from "./payload.js";
import type { GuestFiles, GuestPath } from "./types.js";

const PAGE = 1_000;
const LARGEST_PAGE = 4_000;
/** What is sent of a file without waiting for credit: a quarter of what may be. */
const LARGEST_AT_ONCE = WRITE_WINDOW / 4;
/** Trees may be large. */
const TREE_TIMEOUT_MS = 600_000;

/** File operations over a link. What changes something is not asked again when the transport broke meanwhile. */
export function guestFiles(link: GuestLink): GuestFiles {
  const ask = <Answer>(
    what: string,
    path: GuestPath,
    payload: Buffer,
    decode: (answer: Buffer) => Answer,
  ): Promise<Answer> =>
    link.request(`${what} ${path.toString()}`, payload, decode, { retry: true });
  const change = (what: string, path: GuestPath, payload: Buffer): Promise<void> =>
    link.request(`${what} ${path.toString()}`, payload, nothing);
  const files: GuestFiles = {
    stat: async (path, { followLinks = false } = {}) =>
      ask("stat", path, encodeStat(path, followLinks), decodeStat),
    list: async (path, { cursor, limit = PAGE } = {}) => {
      const request = encodeListDir(path, cursor, Math.min(Math.max(1, limit), LARGEST_PAGE));
      return ask("list", path, request, decodeListDir);
    },
    read: (path, options = {}) => readFile(link, path, options),
    readAll: (path, options) => readWhole(link, path, options),
    write: (path, options = {}) => writeFile(link, path, options),
    writeAll: (path, data, options = {}) => {
      if (data.length <= LARGEST_AT_ONCE) return writeWhole(link, path, data, options);
      const { stream, result } = writeFile(link, path, options);
      stream.end(data);
      return result;
    },
    mkdir: async (path, { mode = 0o755, parents = true } = {}) =>
      change("mkdir", path, encodeMkdir(path, mode, parents)),
    rename: async (from, to, { overwrite = true } = {}) =>
      change("rename", from, encodeRename(from, to, overwrite)),
    copy: async (from, to, { recursive = false, overwrite = true, signal } = {}) => {
      const request = encodeCopy(from, to, recursive, overwrite);
      const what = `copy ${from.toString()}`;
      return link.request(what, request, decodeEntries, { signal, timeoutMs: TREE_TIMEOUT_MS });
    },
    remove: async (path, { recursive = false, signal } = {}) => {
      const request = encodeRemove(path, recursive);
      const what = `remove ${path.toString()}`;
      return link.request(what, request, decodeEntries, { signal, timeoutMs: TREE_TIMEOUT_MS });
    },
    chmod: async (path, mode) => change("chmod", path, encodeChmod(path, mode)),
    symlink: async (path, target) => change("symlink", path, encodeSymlink(path, target)),
    readlink: async (path) => ask("readlink", path, encodeReadlink(path), decodeReadlink),
    statvfs: async (path = "/") => ask("statvfs", path, encodeStatvfs(path), decodeStatvfs),
  };
  return files;
}
