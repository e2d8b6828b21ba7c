import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { crc32 } from "node:zlib";
import { ClawdspaceError } from "@clawdspace/protocol";
import { type Entry, fromFdPromise, type ZipFile } from "yauzl";
import type { IncomingEntry } from "./incoming.js";
import { quiet } from "./streams.js";
import { damaged } from "./unpack-tar.js";

/** A zip has to be kept on the node while it is unpacked, since its table of contents comes last. */
export const MAX_ZIP_BYTES = 4 * 1024 ** 3;
const MAX_TARGET_BYTES = 4096;
const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;

/**
 * The entries of a zip archive, once it is there as a whole: in a file of `folder` that has no name and so ends with the
 * daemon. Throws `too_large`, and `invalid_request` where it is damaged.
 */
export async function* unpackZip(source: Readable, folder: string): AsyncGenerator<IncomingEntry> {
  const file = await keep(source, folder);
  let zip: ZipFile | undefined;
  try {
    zip = await fromFdPromise(file.fd, { decodeStrings: false, autoClose: false });
    for await (const entry of zip.eachEntry()) yield await toIncoming(zip, entry);
  } catch (cause) {
    throw damaged(cause);
  } finally {
    await file.close();
  }
}

async function keep(source: Readable, folder: string): Promise<FileHandle> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `upload-${randomUUID()}.zip`);
  const file = await open(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
  try {
    await rm(path, { force: true });
    let length = 0;
    for await (const piece of source.iterator({ destroyOnReturn: false })) {
      length += piece.length;
      if (length > MAX_ZIP_BYTES) {
        throw new ClawdspaceError(
          "too_large",
          `A zip may have ${MAX_ZIP_BYTES} bytes. Send a tar, which has no limit.`,
        );
      }
      await file.write(piece);
    }
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function toIncoming(zip: ZipFile, entry: Entry): Promise<IncomingEntry> {
  const raw = entry.fileNameRaw;
  // Unix attributes; what other systems pack has none.
  const attributes = entry.externalFileAttributes >>> 16;
  const kind = attributes & S_IFMT;
  const mode = attributes === 0 ? undefined : attributes & 0o777;
  if (kind === S_IFDIR || raw.at(-1) === 0x2f) return { name: raw, type: "dir", mode };
  if (entry.isEncrypted()) throw new Error(`"${raw.toString()}" is encrypted`);
  if (!entry.canDecodeFileData()) {
    throw new Error(`"${raw.toString()}" is compressed by an unknown method`);
  }
  const content = async () => checked(await zip.openReadStreamPromise(entry), entry.crc32);
  if (kind === S_IFLNK) {
    if (entry.uncompressedSize > MAX_TARGET_BYTES) {
      throw new Error(`the symlink "${raw.toString()}" is too long`);
    }
    return { name: raw, type: "symlink", target: await buffer(await content()) };
  }
  if (kind !== S_IFREG && kind !== 0) return { name: raw, type: "device" };
  const whole = async () => await buffer(await content());
  return { name: raw, type: "file", mode, size: entry.uncompressedSize, content, whole };
}

/** A content that fails where it is not what was packed. */
function checked(content: Readable, sum: number): Readable {
  const pieces = async function* () {
    let seen = 0;
    try {
      for await (const piece of content as AsyncIterable<Buffer>) {
        seen = crc32(piece, seen);
        yield piece;
      }
    } catch (cause) {
      throw damaged(cause);
    }
    if (seen !== sum) throw damaged("a checksum does not match");
  };
  return quiet(Readable.from(pieces(), { objectMode: false }));
}
