import { GuestError } from "../guest/types.js";
import { type ArchiveEntries, type ArchiveEntry, contentOf } from "./archive-entries.js";
import type { FileFacts, ReadableFiles, TreeEntry } from "./space-files.js";

const TYPES: Record<string, FileFacts["type"]> = {
  file: "file",
  "contiguous-file": "file",
  directory: "dir",
  symlink: "symlink",
};

interface ArchiveOf {
  /** What the archive was made of, for what it tells too little about. */
  files: Pick<ReadableFiles, "stat" | "read">;
  folder: Buffer;
  /** What stands before each path in the archive, "/" included. */
  root: string;
  /** Whether the space's user may open an entry: read a file, look into a folder. */
  mayOpen?(header: ArchiveEntry["header"]): boolean;
  onLeftOut?: () => void;
  /** Leaves out what lies deeper. */
  topOnly?: boolean;
  /** The bytes that a name or a target in the archive stands for. */
  bytesOf(text: string): Buffer;
}

/** The tree that an archive of a folder tells, entry by entry as it comes. */
export async function* archiveTree(
  archive: ArchiveEntries,
  { files, folder, root, topOnly, bytesOf, mayOpen = () => true, onLeftOut }: ArchiveOf,
): AsyncGenerator<TreeEntry> {
  /** Where entries begin that lie in a folder that may not be looked into; parents come first. */
  let closed: string | undefined;
  for await (const entry of archive) {
    const { header } = entry;
    const name = header.name.replace(/\/$/, "");
    if (!name.startsWith(root) || name.length === root.length) continue;
    if (topOnly && name.includes("/", root.length)) continue;
    if (closed !== undefined && name.startsWith(closed)) continue;
    closed = undefined;
    const may = mayOpen(header);
    if (header.type === "directory" && !may) {
      closed = `${name}/`;
      onLeftOut?.();
    }
    const path = bytesOf(name.slice(root.length));
    if (header.type === "link") {
      // A file's further name comes without its content.
      const full = Buffer.concat([folder, Buffer.from("/"), path]);
      const open = async () => {
        const { stat, stream } = await files.read(full);
        return { size: stat.size, stream };
      };
      yield { path, facts: await files.stat(full), open };
      continue;
    }
    const size = header.size ?? 0;
    const target = header.type === "symlink" ? bytesOf(header.linkname ?? "") : undefined;
    yield {
      path,
      facts: {
        type: TYPES[header.type ?? "file"] ?? "other",
        size: target?.length ?? size,
        mtimeMs: header.mtime?.getTime() ?? 0,
        mode: (header.mode ?? 0) & 0o7777,
      },
      ...(target ? { target } : {}),
      open: async () => {
        if (!may) throw new GuestError("permission", "the space's user may not read it");
        return { size, stream: contentOf(entry) };
      },
    };
  }
}
