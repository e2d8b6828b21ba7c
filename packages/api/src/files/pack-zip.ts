import { isUtf8 } from "node:buffer";
import { PassThrough, pipeline, type Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { ZipFile } from "yazl";
import type { TreeEntry } from "./space-files.js";
import { exactly, quiet } from "./streams.js";
import { isLeftOut } from "./tree.js";

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
/** Where the time of a zip begins. */
const FIRST_MTIME = Date.UTC(1980, 0, 2);

/**
 * A tree as a zip archive, packed as it is read; what is left out is as with `packTar`. A zip tells names as UTF-8, so
 * bytes of a name that are not are written as "%FF".
 */
export function packZip(tree: AsyncIterable<TreeEntry>, onLeftOut: () => void): Readable {
  const zip = new ZipFile();
  const output = quiet(new PassThrough());
  pipeline(zip.outputStream, output, () => {});
  zip.on("error", (error: Error) => output.destroy(error));
  const all = async () => {
    for await (const entry of tree) {
      if (output.destroyed) return;
      try {
        await add(zip, entry, output);
      } catch (error) {
        if (!isLeftOut(error)) throw error;
        onLeftOut();
      }
    }
    zip.end();
  };
  all().catch((error: Error) => output.destroy(error));
  return output;
}

async function add(zip: ZipFile, entry: TreeEntry, output: Readable): Promise<void> {
  const { facts } = entry;
  const name = zipName(entry.path);
  const mtime = new Date(Math.max(facts.mtimeMs, FIRST_MTIME));
  const mode = facts.mode & 0o777;
  if (facts.type === "dir") {
    zip.addEmptyDirectory(name, { mtime, mode: S_IFDIR | mode });
  } else if (facts.type === "symlink") {
    const target = entry.target ?? (await entry.readTarget?.());
    if (target) zip.addBuffer(target, name, { mtime, mode: S_IFLNK | 0o777, compress: false });
  } else if (facts.type === "file") {
    const { size, stream } = await entry.open();
    const content = exactly(stream, size);
    // Nobody else tells it that the zip is not wanted any more.
    const give = () => content.destroy();
    output.once("close", give);
    zip.addReadStream(content, name, { mtime, mode: S_IFREG | mode, size });
    await finished(content).finally(() => output.off("close", give));
  }
}

/** A name that any zip program takes: also what looks like a drive or a Windows path is written in percent escapes. */
export function zipName(path: Buffer): string {
  const text = isUtf8(path)
    ? path.toString("utf8")
    : path.toString("latin1").replace(/[\x80-\xff]/g, percent);
  return text.replace(/\\/g, percent).replace(/^([a-zA-Z]):/, "$1%3A");
}

const percent = (char: string) =>
  `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
