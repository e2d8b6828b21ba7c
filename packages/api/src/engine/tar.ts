import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { extract, pack } from "tar-stream";

export interface TarEntry {
  name: string;
  mode: number;
  /** uid and gid; root where unset. */
  owner?: number;
  /** A file's content; a folder where unset. */
  data?: Buffer;
}

/** A tar archive of small entries, whole in memory. */
export async function tarOf(entries: TarEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, mode, owner = 0, data } of entries) {
    const header = { name, mode, uid: owner, gid: owner, mtime: new Date() };
    if (data) archive.entry(header, data);
    else archive.entry({ ...header, type: "directory" });
  }
  archive.finalize();
  return await buffer(archive);
}

/** The content of an archive's first entry, which must be a file. Throws where it is not. */
export async function readTarFile(archive: Readable): Promise<Buffer> {
  const entries = extract();
  archive.on("error", (error) => entries.destroy(error));
  archive.pipe(entries);
  for await (const entry of entries) {
    if (entry.header.type !== "file") throw new Error(`"${entry.header.name}" is no regular file`);
    return await buffer(entry);
  }
  throw new Error("the archive is empty");
}
