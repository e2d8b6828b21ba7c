import { PayloadReader, PayloadWriter } from "./payload.js";
import {
  type GuestDirEntry,
  type GuestDirPage,
  GuestError,
  type GuestFileType,
  type GuestPath,
  type GuestStat,
  type GuestStatfs,
  type GuestWriteOptions,
} from "./types.js";

const Operation = {
  stat: 16,
  list: 17,
  read: 18,
  write: 19,
  mkdir: 20,
  rename: 21,
  copy: 22,
  remove: 23,
  chmod: 24,
  symlink: 25,
  readlink: 26,
  statvfs: 27,
} as const;

const WRITE_APPEND = 1;
const WRITE_EXCLUSIVE = 2;
const WRITE_INSIST = 4;
const WRITE_PARENTS = 8;
const WRITE_MODE = 16;
const COPY_RECURSIVE = 1;
const COPY_OVERWRITE = 2;
const TYPES: (GuestFileType | undefined)[] = [undefined, "file", "dir", "symlink", "other"];
const MAX_NAME = 255;
const MAX_TARGET = 4096;
const EVERYTHING = 0xffff_ffff_ffff_ffffn;
/** Where a date ends. */
const MAX_DATE_SECONDS = 8_640_000_000_000n;

function request(operation: number): PayloadWriter {
  return new PayloadWriter().u8(operation);
}

export function encodeStat(path: GuestPath, followLinks: boolean): Buffer {
  return request(Operation.stat)
    .u8(followLinks ? 1 : 0)
    .bytes(path)
    .finish();
}

export function decodeStat(payload: Buffer): GuestStat {
  return readStat(new PayloadReader(payload));
}

function readStat(reader: PayloadReader): GuestStat {
  const type = TYPES[reader.u8()];
  if (!type) throw new GuestError("protocol", "The guest agent told of an unknown kind of file");
  const mode = reader.u32() & 0o7777;
  const size = reader.size();
  const seconds = reader.i64();
  const nanoseconds = reader.u32();
  const ino = reader.u64();
  if (seconds > MAX_DATE_SECONDS || seconds < -MAX_DATE_SECONDS) {
    throw new GuestError("protocol", "The guest agent told an impossible time");
  }
  return {
    type,
    size,
    mtimeMs: Number(seconds) * 1000 + nanoseconds / 1e6,
    mode,
    ino,
    uid: reader.u32(),
    gid: reader.u32(),
    nlink: reader.u32(),
    etag: [seconds, nanoseconds, size, ino].map((part) => part.toString(36)).join("."),
  };
}

/** The four numbers of an etag. Throws "invalid" for what no etag of ours is. */
function writeVersion(writer: PayloadWriter, etag: string | undefined): PayloadWriter {
  if (etag === undefined) return writer.u64(0).u32(0).u64(0).u64(0);
  const parts = etag.split(".");
  const numbers = parts.map((part) => parseBase36(part));
  const [seconds, nanoseconds, size, ino] = numbers;
  if (
    parts.length !== 4 ||
    seconds === undefined ||
    nanoseconds === undefined ||
    nanoseconds >= 1_000_000_000n ||
    size === undefined ||
    ino === undefined
  ) {
    throw new GuestError("precondition", `"${etag}" is no etag of a file`);
  }
  return writer
    .u64(BigInt.asUintN(64, seconds))
    .u32(Number(nanoseconds))
    .u64(BigInt.asUintN(64, size))
    .u64(BigInt.asUintN(64, ino));
}

function parseBase36(text: string): bigint | undefined {
  if (!/^-?[0-9a-z]{1,13}$/.test(text)) return undefined;
  const digits = text.replace("-", "");
  let value = 0n;
  for (const digit of digits) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  return text.startsWith("-") ? -value : value;
}

export function encodeListDir(path: GuestPath, cursor: string | undefined, limit: number): Buffer {
  const position = cursor === undefined ? 0n : parseBase36(cursor);
  if (position === undefined) throw new GuestError("invalid", `"${cursor}" is no cursor of a list`);
  return request(Operation.list).u64(BigInt.asUintN(64, position)).u32(limit).bytes(path).finish();
}

export function decodeListDir(payload: Buffer): GuestDirPage {
  const reader = new PayloadReader(payload);
  const more = reader.u8() !== 0;
  const cursor = reader.i64().toString(36);
  const entries: GuestDirEntry[] = [];
  while (!reader.done) {
    const name = Buffer.from(reader.bytes(MAX_NAME));
    // What a name can't hold would change the meaning of the paths that are built from it.
    if (name.length === 0 || name.includes("/") || name.includes("\0") || isDots(name)) {
      throw new GuestError("protocol", "The guest agent told of an impossible file name");
    }
    entries.push({ name, ...readStat(reader) });
  }
  return more ? { entries, cursor } : { entries };
}

function isDots(name: Buffer): boolean {
  return name.length <= 2 && name.every((byte) => byte === 0x2e);
}

export function encodeRead(
  path: GuestPath,
  options: {
    offset?: number | undefined;
    length?: number | undefined;
    ifMatch?: string | undefined;
  },
  window: number,
): Buffer {
  const writer = request(Operation.read)
    .u64(options.offset ?? 0)
    .u64(options.length ?? EVERYTHING)
    .u32(window)
    .u8(options.ifMatch === undefined ? 0 : 1);
  return writeVersion(writer, options.ifMatch).bytes(path).finish();
}

/** How many bytes a read has sent. */
export function decodeReadEnd(payload: Buffer): number {
  return new PayloadReader(payload).size();
}

export function encodeWrite(path: GuestPath, options: GuestWriteOptions): Buffer {
  const flags =
    (options.append ? WRITE_APPEND : 0) |
    (options.exclusive ? WRITE_EXCLUSIVE : 0) |
    (options.ifMatch === undefined ? 0 : WRITE_INSIST) |
    ((options.parents ?? true) ? WRITE_PARENTS : 0) |
    (options.mode === undefined ? 0 : WRITE_MODE);
  const writer = request(Operation.write)
    .u8(flags)
    .u32(options.mode ?? 0);
  return writeVersion(writer, options.ifMatch).bytes(path).finish();
}

export function encodeMkdir(path: GuestPath, mode: number, parents: boolean): Buffer {
  return request(Operation.mkdir)
    .u32(mode)
    .u8(parents ? 1 : 0)
    .bytes(path)
    .finish();
}

export function encodeRename(from: GuestPath, to: GuestPath, overwrite: boolean): Buffer {
  return request(Operation.rename)
    .u8(overwrite ? 1 : 0)
    .bytes(from)
    .bytes(to)
    .finish();
}

export function encodeCopy(
  from: GuestPath,
  to: GuestPath,
  recursive: boolean,
  overwrite: boolean,
): Buffer {
  return request(Operation.copy)
    .u8((recursive ? COPY_RECURSIVE : 0) | (overwrite ? COPY_OVERWRITE : 0))
    .bytes(from)
    .bytes(to)
    .finish();
}

export function encodeRemove(path: GuestPath, recursive: boolean): Buffer {
  return request(Operation.remove)
    .u8(recursive ? 1 : 0)
    .bytes(path)
    .finish();
}

/** How many files and folders a copy made or a removal took away. */
export function decodeEntries(payload: Buffer): { entries: number } {
  return { entries: new PayloadReader(payload).size() };
}

export function decodeReadlink(payload: Buffer): Buffer {
  if (payload.length > MAX_TARGET)
    throw new GuestError("protocol", "The link's target is too long");
  return Buffer.from(payload);
}

export function encodeChmod(path: GuestPath, mode: number): Buffer {
  return request(Operation.chmod).u32(mode).bytes(path).finish();
}

export function encodeSymlink(path: GuestPath, target: GuestPath): Buffer {
  return request(Operation.symlink).bytes(target).bytes(path).finish();
}

export function encodeReadlink(path: GuestPath): Buffer {
  return request(Operation.readlink).bytes(path).finish();
}

export function encodeStatvfs(path: GuestPath): Buffer {
  return request(Operation.statvfs).bytes(path).finish();
}

export function decodeStatvfs(payload: Buffer): GuestStatfs {
  const reader = new PayloadReader(payload);
  return {
    totalBytes: reader.size(),
    freeBytes: reader.size(),
    availableBytes: reader.size(),
    totalInodes: reader.size(),
    freeInodes: reader.size(),
  };
}
