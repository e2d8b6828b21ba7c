import { isUtf8 } from "node:buffer";
import { Readable } from "node:stream";
import { type Pack, pack } from "tar-stream";
import { type ReadAheadEntry, readAhead } from "./read-ahead.js";
import type { TreeEntry } from "./space-files.js";
import { drained, exactly, gathered, quiet } from "./streams.js";
import { isLeftOut } from "./tree.js";

const BLOCK_BYTES = 512;
/** Header fields as offset and length. */
const FIELD = { name: 0, mode: 100, size: 124, mtime: 136, checksum: 148, type: 156, magic: 257 };

/**
 * A tree as a tar archive, packed as it is read. What can't be read any more, or not by the space's user, and what is
 * neither file, folder nor symlink is left out; `onLeftOut` is told of the former.
 */
export function packTar(tree: AsyncIterable<TreeEntry>, onLeftOut: () => void): Readable {
  const archive = pack();
  const all = async () => {
    for await (const entry of readAhead(tree)) {
      try {
        await add(archive, entry);
      } catch (error) {
        if (!isLeftOut(error)) throw error;
        onLeftOut();
      }
    }
    archive.finalize();
  };
  all().catch((error: Error) => archive.destroy(error));
  return quiet(Readable.from(gathered(archive as AsyncIterable<Buffer>), { objectMode: false }));
}

async function add(archive: Pack, entry: ReadAheadEntry): Promise<void> {
  const { facts } = entry;
  const common = { mode: facts.mode, mtime: new Date(facts.mtimeMs) };
  const small = await entry.content;
  if (small) {
    const name = nameOf(archive, entry.path, "L");
    await enter(archive, { ...common, name, type: "file" }, small);
  } else if (facts.type === "file") {
    const { size, stream } = await entry.open();
    const name = nameOf(archive, entry.path, "L");
    const sink = archive.entry({ ...common, name, type: "file", size });
    await drain(exactly(stream, size), sink);
  } else if (facts.type === "dir") {
    const name = nameOf(archive, Buffer.concat([entry.path, Buffer.from("/")]), "L");
    await enter(archive, { ...common, name, type: "directory" });
  } else if (facts.type === "symlink") {
    const target = entry.target ?? (await entry.readTarget?.());
    if (!target) return;
    const linkname = nameOf(archive, target, "K");
    const name = nameOf(archive, entry.path, "L");
    await enter(archive, { ...common, name, linkname, type: "symlink" });
  }
}

/** Adds an entry as a whole; awaited, so that what is pushed next comes behind it. */
const enter = (archive: Pack, header: Parameters<Pack["entry"]>[0], content?: Buffer) =>
  new Promise<void>((resolve, reject) => {
    const done = (error?: Error | null) => (error ? reject(error) : resolve());
    if (content) archive.entry(header, content, done);
    else archive.entry(header, done);
  });

/**
 * A name as tar-stream takes it. It writes UTF-8; other bytes go in front, in a record of GNU's that stands for the name
 * ("L") or the symlink's target ("K") of the entry behind it.
 */
function nameOf(archive: Pack, bytes: Buffer, type: "L" | "K"): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  archive.push(longNameHeader(bytes.length + 1, type));
  archive.push(Buffer.concat([bytes, Buffer.alloc(padded(bytes.length + 1) - bytes.length)]));
  return "name-in-front";
}

const padded = (length: number) => Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;

function longNameHeader(length: number, type: "L" | "K"): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write("././@LongLink", FIELD.name);
  for (const field of [FIELD.mode, FIELD.mode + 8, FIELD.mode + 16]) header.write("0000000", field);
  header.write(length.toString(8).padStart(11, "0"), FIELD.size);
  header.write("00000000000", FIELD.mtime);
  header.write("        ", FIELD.checksum);
  header.write(type, FIELD.type);
  header.write("ustar  ", FIELD.magic);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, FIELD.checksum);
  return header;
}

async function drain(source: Readable, sink: ReturnType<Pack["entry"]>): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    sink.on("error", reject);
    sink.on("close", resolve);
  });
  done.catch(() => {});
  try {
    for await (const piece of source as AsyncIterable<Buffer>) {
      if (sink.destroying) break;
      if (!sink.write(piece)) await drained(sink);
    }
    sink.end(undefined);
  } catch (error) {
    sink.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
  await done;
}
