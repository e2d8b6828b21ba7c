import {
  decodeEntries,
  decodeListDir,
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
import { writeFile } from "./file-write.js";
import type { GuestLink } from "./link.js";
import { GuestError, type GuestFiles, type GuestPath } from "./types.js";

const PAGE = 1_000;
const LARGEST_PAGE = 4_000;
/** Trees may be large. */
const TREE_TIMEOUT_MS = 600_000;

/** File operations over a link. What changes something is not asked again when the transport broke meanwhile. */
export function guestFiles(link: GuestLink): GuestFiles {
  const ask = (what: string, path: GuestPath, payload: Buffer): Promise<Buffer> =>
    link.request(`${what} ${path.toString()}`, payload, { retry: true });
  const change = async (what: string, path: GuestPath, payload: Buffer): Promise<void> => {
    await link.request(`${what} ${path.toString()}`, payload);
  };
  const files: GuestFiles = {
    stat: async (path, { followLinks = false } = {}) =>
      decodeStat(await ask("stat", path, encodeStat(path, followLinks))),
    list: async (path, { cursor, limit = PAGE } = {}) => {
      const request = encodeListDir(path, cursor, Math.min(Math.max(1, limit), LARGEST_PAGE));
      return decodeListDir(await ask("list", path, request));
    },
    read: (path, options = {}) => readFile(link, path, options),
    readAll: async (path, { maxBytes, signal }) => {
      const { stat, stream } = await readFile(link, path, {
        length: maxBytes,
        ...(signal ? { signal } : {}),
      });
      const parts: Buffer[] = [];
      for await (const part of stream) parts.push(part);
      const data = Buffer.concat(parts);
      return { stat, data, truncated: stat.size > data.length && data.length === maxBytes };
    },
    write: (path, options = {}) => writeFile(link, path, options),
    writeAll: (path, data, options = {}) => {
      const { stream, result } = writeFile(link, path, options);
      stream.end(data);
      return result;
    },
    mkdir: (path, { mode = 0o755, parents = true } = {}) =>
      change("mkdir", path, encodeMkdir(path, mode, parents)),
    rename: (from, to, { overwrite = true } = {}) =>
      change("rename", from, encodeRename(from, to, overwrite)),
    copy: async (from, to, { recursive = false, overwrite = true, signal } = {}) => {
      const request = encodeCopy(from, to, recursive, overwrite);
      const what = `copy ${from.toString()}`;
      const answer = await link.request(what, request, { signal, timeoutMs: TREE_TIMEOUT_MS });
      return { entries: decodeEntries(answer) };
    },
    remove: async (path, { recursive = false, signal } = {}) => {
      const request = encodeRemove(path, recursive);
      const what = `remove ${path.toString()}`;
      const answer = await link.request(what, request, { signal, timeoutMs: TREE_TIMEOUT_MS });
      return { entries: decodeEntries(answer) };
    },
    chmod: (path, mode) => change("chmod", path, encodeChmod(path, mode)),
    symlink: (path, target) => change("symlink", path, encodeSymlink(path, target)),
    readlink: async (path) => {
      const target = await ask("readlink", path, encodeReadlink(path));
      if (target.length > 4096) throw new GuestError("protocol", "The link's target is too long");
      return Buffer.from(target);
    },
    statvfs: async (path = "/") => decodeStatvfs(await ask("statvfs", path, encodeStatvfs(path))),
  };
  return files;
}
