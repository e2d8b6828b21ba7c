import { createHash } from "node:crypto";
import { type Readable, Transform } from "node:stream";
import { ArchiveEntries } from "../../files/archive-entries.js";
import { drained, quiet } from "../../files/streams.js";

/** What a workspace holds, in few words: equal where names, types, modes, owners, links and contents are. */
export interface TreeDigest {
  sha256: string;
  entries: number;
  /** Of all files. */
  bytes: number;
}

/**
 * The digest of a workspace by its tar archive, which is read to its end. Archives of the same tree by other engines may differ
 * in their bytes, and folders in their times; neither counts. Throws where the archive is damaged or breaks off.
 */
export async function digestOf(archive: Readable): Promise<TreeDigest> {
  const lines: string[] = [];
  let total = 0;
  // Bytes stay bytes: names need not be UTF-8.
  const entries = new ArchiveEntries(archive, { filenameEncoding: "latin1" });
  for await (const entry of entries) {
    const { name, type, mode, uid, gid, size = 0, linkname, mtime } = entry.header;
    const hash = createHash("sha256");
    for await (const piece of entry) hash.update(piece as Buffer);
    total += size;
    lines.push(
      JSON.stringify([
        ...[name, type, mode & 0o7777, uid, gid, size, linkname ?? ""],
        ...[type === "file" ? Math.floor((mtime?.getTime() ?? 0) / 1000) : 0, hash.digest("hex")],
      ]),
    );
  }
  // Engines may walk folders in another order.
  const sha256 = createHash("sha256").update(lines.sort().join("\n")).digest("hex");
  return { sha256, entries: lines.length, bytes: total };
}

/** Lets an archive through and makes its digest on the way. */
export function digesting(
  archive: Readable,
  onBytes: (total: number) => void,
): { stream: Readable; digest: Promise<TreeDigest> } {
  const copy = new Transform({ transform: (piece, _encoding, done) => done(null, piece) });
  let total = 0;
  const stream = new Transform({
    transform(piece: Buffer, _encoding, done) {
      total += piece.length;
      onBytes(total);
      if (copy.destroyed || copy.write(piece)) return done(null, piece);
      void drained(copy).then(() => done(null, piece));
    },
    flush(done) {
      copy.end();
      done();
    },
  });
  const digest = digestOf(quiet(copy));
  digest.catch(() => {});
  // Whoever reads the stream learns of the archive's failure, and the archive is let go of with the stream.
  archive.once("error", (error) => stream.destroy(error));
  archive.once("close", () => {
    if (!archive.readableEnded)
      stream.destroy(new Error("the workspace could not be read to its end"));
  });
  stream.once("close", () => {
    archive.destroy();
    if (!stream.readableEnded) copy.destroy(new Error("the copy broke off"));
  });
  quiet(stream);
  archive.pipe(stream);
  return { stream, digest };
}
