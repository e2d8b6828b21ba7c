import type { Readable } from "node:stream";
import { pipeline } from "node:stream";
import { createGunzip, createGzip } from "node:zlib";
import type { ArchiveFormat, UploadedArchive } from "@clawdspace/protocol";
import { GuestError } from "../guest/types.js";
import type { FileAccess } from "./file-access.js";
import { naming } from "./file-errors.js";
import { takeIn } from "./incoming.js";
import { packTar } from "./pack-tar.js";
import { packZip } from "./pack-zip.js";
import type { TreeEntry } from "./space-files.js";
import { quiet } from "./streams.js";
import { treeOf } from "./tree.js";
import { unpackTar } from "./unpack-tar.js";
import { unpackZip } from "./unpack-zip.js";
import type { WorkspacePath } from "./workspace-path.js";

/** Folders as archives, packed and unpacked as they pass. */
export class FolderTransfers {
  /** @param keepIn where a zip is kept while it is unpacked. */
  constructor(
    private readonly access: FileAccess,
    private readonly keepIn: string,
  ) {}

  /**
   * What a folder holds, by paths relative to it. Reads a sleeping space without waking it.
   * @returns the archive, and how many entries could not be read and are left out, once it has ended.
   */
  async download(
    space: string,
    path: WorkspacePath,
    { format, signal }: { format: ArchiveFormat; signal: AbortSignal },
  ): Promise<{ stream: Readable; leftOut: () => number }> {
    return await this.access.opening(space, (files) =>
      naming(path, async () => {
        let leftOut = 0;
        const onLeftOut = () => {
          leftOut++;
        };
        const { type } = await files.stat(path.bytes, { followLinks: true });
        if (type !== "dir") throw new GuestError("not_directory", "is not a folder");
        const tree = await begun(treeOf(files, path.bytes, { contents: true, signal, onLeftOut }));
        const stream =
          format === "zip"
            ? packZip(tree, onLeftOut)
            : compressed(format, packTar(tree, onLeftOut));
        return { stream, leftOut: () => leftOut };
      }),
    );
  }

  /**
   * Unpacks an archive into a folder, made where it is not there. What is unpacked before a failure stays.
   * Throws `invalid_request` for a damaged archive and for names that lead out of the folder.
   */
  async upload(
    space: string,
    path: WorkspacePath,
    { format, source }: { format: ArchiveFormat; source: Readable },
  ): Promise<UploadedArchive> {
    return await this.access.changing(space, async (files) => {
      const incoming =
        format === "zip" ? unpackZip(source, this.keepIn) : unpackTar(expanded(format, source));
      const { entries, skipped } = await takeIn(files, path, incoming);
      return { message: `Unpacked ${entries} entries into ${path}`, entries, skipped };
    });
  }
}

/** The same entries, the first of which has been seen: what fails at once fails before anything is sent. */
async function begun(tree: AsyncIterable<TreeEntry>): Promise<AsyncIterable<TreeEntry>> {
  const iterator = tree[Symbol.asyncIterator]();
  let first: IteratorResult<TreeEntry> | undefined = await iterator.next();
  return {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const result = first ?? (await iterator.next());
        first = undefined;
        return result;
      },
      return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
    }),
  };
}

function compressed(format: ArchiveFormat, archive: Readable): Readable {
  return format === "tar" ? archive : quiet(pipeline(archive, createGzip({ level: 6 }), () => {}));
}

function expanded(format: ArchiveFormat, source: Readable): Readable {
  if (format === "tar") return source;
  const gunzip = quiet(createGunzip());
  // Unlike pipeline(), this leaves the source alone where the archive is damaged: its sender gets an answer.
  source.once("error", (error) => gunzip.destroy(error));
  return source.pipe(gunzip);
}
