import type {
  FileContent,
  FileEntry,
  FileList,
  FileStat,
  FilesChanged,
  FileWritten,
} from "@clawdspace/protocol";
import { ClawdspaceError } from "@clawdspace/protocol";
import { type Conditions, conditional } from "./conditions.js";
import type { FileAccess } from "./file-access.js";
import { naming } from "./file-errors.js";
import type { DirEntry, FileFacts, ReadableFiles } from "./space-files.js";
import { formatMode, parseMode, toEntry, toFileStat, written } from "./wire.js";
import type { WorkspacePath } from "./workspace-path.js";

/** What one question to a guest agent may ask for. */
const PAGE = 4000;
const LINKS_AT_ONCE = 16;

/** The files of spaces, a small question each: list, look, read, write, arrange. Throws `not_found` for the space. */
export class FileService {
  constructor(private readonly access: FileAccess) {}

  /** A folder's entries, sorted within the page. Reads a sleeping space without waking it. */
  async list(
    space: string,
    path: WorkspacePath,
    options: { limit: number; cursor?: string | undefined },
  ): Promise<FileList> {
    return await this.access.reading(space, (files) =>
      naming(path, async () => {
        const found: DirEntry[] = [];
        let cursor = options.cursor;
        do {
          const limit = Math.min(PAGE, options.limit - found.length);
          const page = await files.list(path.bytes, { limit, ...(cursor ? { cursor } : {}) });
          found.push(...page.entries);
          cursor = page.cursor;
        } while (cursor !== undefined && found.length < options.limit);
        found.sort((a, b) => Buffer.compare(a.name, b.name));
        const entries = await withTargets(files, path, found);
        return { path: path.toString(), entries, ...(cursor ? { nextCursor: cursor } : {}) };
      }),
    );
  }

  /** A symlink is told of as itself. Reads a sleeping space without waking it. */
  async stat(space: string, path: WorkspacePath): Promise<FileStat> {
    return await this.access.reading(space, (files) =>
      naming(path, async () => {
        const facts = await files.stat(path.bytes);
        const target = facts.type === "symlink" ? await files.readlink(path.bytes) : undefined;
        return toFileStat(path, facts, target);
      }),
    );
  }

  /** A file's beginning. Reads a sleeping space without waking it. */
  async read(
    space: string,
    path: WorkspacePath,
    options: { maxBytes: number; signal: AbortSignal },
  ): Promise<FileContent> {
    return await this.access.reading(space, (files) =>
      naming(path, async () => {
        const { stat, data, truncated } = await files.readAll(path.bytes, options);
        return {
          path: path.toString(),
          contentBase64: data.toString("base64"),
          truncated,
          size: stat.size,
          ...(stat.etag ? { etag: stat.etag } : {}),
        };
      }),
    );
  }

  /** Replaces or makes a file, parents included, or adds to its end. Throws `precondition_failed`. */
  async write(
    space: string,
    path: WorkspacePath,
    data: Buffer,
    options: Conditions & { append?: boolean | undefined; mode?: string | undefined },
  ): Promise<FileWritten> {
    return await this.access.changing(space, (files) =>
      naming(path, () =>
        conditional(files, path, options, async (conditions) => {
          const stat = await files.writeAll(path.bytes, data, {
            ...conditions,
            ...(options.append ? { append: true } : {}),
            ...parseMode(options.mode),
          });
          return written(path, stat);
        }),
      ),
    );
  }

  async makeFolder(
    space: string,
    path: WorkspacePath,
    options: { parents: boolean; mode?: string | undefined },
  ): Promise<FilesChanged> {
    return await this.access.changing(space, (files) =>
      naming(path, async () => {
        await files.mkdir(path.bytes, { parents: options.parents, ...parseMode(options.mode) });
        return { message: `Made the folder ${path}`, entries: 1 };
      }),
    );
  }

  /** Parents of `to` are made. */
  async move(
    space: string,
    from: WorkspacePath,
    to: WorkspacePath,
    options: { overwrite: boolean },
  ): Promise<FilesChanged> {
    apart(from, to, "moved");
    return await this.access.changing(space, (files) =>
      naming(`${from} → ${to}`, async () => {
        await makeParent(files, to);
        await files.rename(from.bytes, to.bytes, options);
        return { message: `Moved ${from} to ${to}`, entries: 1 };
      }),
    );
  }

  /** Parents of `to` are made. */
  async copy(
    space: string,
    from: WorkspacePath,
    to: WorkspacePath,
    options: { overwrite: boolean; recursive: boolean; signal: AbortSignal },
  ): Promise<FilesChanged> {
    apart(from, to, "copied");
    return await this.access.changing(space, (files) =>
      naming(`${from} → ${to}`, async () => {
        await makeParent(files, to);
        const { entries } = await files.copy(from.bytes, to.bytes, options);
        return { message: `Copied ${from} to ${to}`, entries };
      }),
    );
  }

  /** A folder that is not empty only where `recursive` is said. A symlink goes itself, what it leads to stays. */
  async remove(
    space: string,
    path: WorkspacePath,
    options: { recursive: boolean; signal: AbortSignal },
  ): Promise<FilesChanged> {
    if (path.isRoot) throw refusedForRoot("removed");
    return await this.access.changing(space, (files) =>
      naming(path, async () => {
        const { entries } = await files.remove(path.bytes, options);
        return { message: `Removed ${path}`, entries };
      }),
    );
  }

  async chmod(space: string, path: WorkspacePath, mode: string): Promise<FilesChanged> {
    return await this.access.changing(space, (files) =>
      naming(path, async () => {
        const bits = Number.parseInt(mode, 8);
        await files.chmod(path.bytes, bits);
        return { message: `${path} has the mode ${formatMode(bits)}`, entries: 1 };
      }),
    );
  }
}

/** Throws `invalid_request` where a folder would go into itself. */
function apart(from: WorkspacePath, to: WorkspacePath, verb: string): void {
  if (from.isRoot || to.isRoot) throw refusedForRoot(verb);
  if (!from.contains(to) || to.contains(from)) return;
  throw new ClawdspaceError("invalid_request", `${from} can't be ${verb} into itself.`, {
    issues: [{ path: "to", message: "lies below from" }],
  });
}

const refusedForRoot = (verb: string) =>
  new ClawdspaceError(
    "invalid_request",
    `The workspace itself can't be ${verb}, only what is in it.`,
    {
      issues: [{ path: "path", message: "must name something in the workspace" }],
    },
  );

async function makeParent(
  files: Parameters<Parameters<FileAccess["changing"]>[1]>[0],
  path: WorkspacePath,
) {
  if (!path.parent.isRoot) await files.mkdir(path.parent.bytes, { parents: true });
}

/** Wire entries, with the targets of symlinks where they can still be read. */
async function withTargets(
  files: ReadableFiles,
  folder: WorkspacePath,
  found: (FileFacts & { name: Buffer; target?: Buffer })[],
): Promise<FileEntry[]> {
  const unknown = found.filter(({ type, target }) => type === "symlink" && target === undefined);
  for (let at = 0; at < unknown.length; at += LINKS_AT_ONCE) {
    await Promise.all(
      unknown.slice(at, at + LINKS_AT_ONCE).map(async (entry) => {
        const target = await files.readlink(folder.join(entry.name).bytes).catch(() => undefined);
        if (target) entry.target = target;
      }),
    );
  }
  return found.map((entry) => toEntry(folder.join(entry.name), entry, entry.target));
}
