import type { Readable } from "node:stream";
import type { FileWritten, UploadedFiles } from "@clawdspace/protocol";
import { GuestError } from "../guest/types.js";
import { type Conditions, conditional, type Etags, names } from "./conditions.js";
import type { FileAccess } from "./file-access.js";
import { naming } from "./file-errors.js";
import { NeedsAwake } from "./needs-awake.js";
import type { FileFacts, ReadableFiles } from "./space-files.js";
import { exactly, pour } from "./streams.js";
import { parseMode, written } from "./wire.js";
import type { WorkspacePath } from "./workspace-path.js";

/** A file may be replaced between the look and the read; then it is looked at again. */
const MAX_ATTEMPTS = 5;

/** From `start` up to, not including, `end`. */
export interface ByteRange {
  start: number;
  end: number;
}

export interface OpenRequest extends Conditions {
  /** Tells the bytes that are wanted of a file: all where undefined. May throw. */
  range?: ((facts: FileFacts) => ByteRange | undefined) | undefined;
  /** The range is wanted of this state of the file only; of another, all of it. */
  ifRange?: Etags | undefined;
  signal: AbortSignal;
}

export interface OpenedFile {
  facts: FileFacts;
  range: ByteRange | undefined;
  stream: Readable;
}

/** Whole files of any size as streams, at the pace of whoever reads or sends them. */
export class Transfers {
  constructor(private readonly access: FileAccess) {}

  /** What a file is, following symlinks. Reads a sleeping space without waking it, unless conditions need an etag. */
  async look(space: string, path: WorkspacePath, conditions: Conditions): Promise<FileFacts> {
    return await this.access.reading(space, (files) =>
      naming(path, async () => {
        const facts = await look(files, path, conditions);
        if (facts.type === "dir") throw new GuestError("is_directory", "is a folder");
        return facts;
      }),
    );
  }

  /**
   * Opens a file to read, all or a range of it. A sleeping space is read without waking it, unless conditions need an
   * etag. Throws `precondition_failed`; `NotModified` where `ifNoneMatch` names what it is.
   */
  async open(space: string, path: WorkspacePath, request: OpenRequest): Promise<OpenedFile> {
    return await this.access.opening(space, (files) =>
      naming(path, () => openFile(files, path, request)),
    );
  }

  /** Replaces or makes a file with what a source sends, or adds it to its end. A source that breaks off changes nothing. */
  async write(
    space: string,
    path: WorkspacePath,
    source: Readable,
    options: Conditions & { append?: boolean | undefined; mode?: string | undefined },
  ): Promise<FileWritten> {
    return await this.access.changing(space, (files) =>
      naming(path, () =>
        conditional(files, path, options, async (conditions) => {
          const writer = files.write(path.bytes, {
            ...conditions,
            ...(options.append ? { append: true } : {}),
            ...parseMode(options.mode),
          });
          return written(path, await pour(source, writer));
        }),
      ),
    );
  }

  /** Writes several files below a folder, one after another. Those before a failure stay. */
  async writeMany(
    space: string,
    folder: WorkspacePath,
    sources: AsyncIterable<{ name: string; source: Readable }>,
  ): Promise<UploadedFiles> {
    return await this.access.changing(space, async (files) => {
      const done: UploadedFiles["files"] = [];
      for await (const { name, source } of sources) {
        const path = folder.join(Buffer.from(name));
        const stat = await naming(path, () => pour(source, files.write(path.bytes)));
        const { message: _message, ...file } = written(path, stat);
        done.push(file);
      }
      return { message: `Wrote ${done.length} files into ${folder}`, files: done };
    });
  }
}

/** Says that a file is what the client has already. */
export class NotModified extends Error {
  override readonly name = "NotModified";
  constructor(readonly facts: FileFacts) {
    super("the file is what the client has");
  }
}

async function openFile(
  files: ReadableFiles,
  path: WorkspacePath,
  request: OpenRequest,
): Promise<OpenedFile> {
  const { signal } = request;
  const asks = request.range ?? request.ifMatch ?? request.ifNoneMatch;
  if (asks === undefined) {
    const { stat, stream } = await files.read(path.bytes, { signal });
    return { facts: stat, range: undefined, stream: exactly(stream, stat.size) };
  }
  for (let attempt = 1; ; attempt++) {
    const facts = await look(files, path, request);
    if (facts.type === "dir") throw new GuestError("is_directory", "is a folder");
    if (request.ifRange !== undefined && facts.etag === undefined) {
      throw new NeedsAwake("conditions need an etag");
    }
    const same = request.ifRange === undefined || names(request.ifRange, facts);
    const range = same ? request.range?.(facts) : undefined;
    const { start, end } = range ?? { start: 0, end: facts.size };
    try {
      const { stream } = await files.read(path.bytes, {
        offset: start,
        length: end - start,
        signal,
        ...(facts.etag ? { ifMatch: facts.etag } : {}),
      });
      return { facts, range, stream: exactly(stream, end - start) };
    } catch (error) {
      const changed = error instanceof GuestError && error.code === "precondition";
      if (!changed || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function look(
  files: ReadableFiles,
  path: WorkspacePath,
  { ifMatch, ifNoneMatch }: Conditions,
): Promise<FileFacts> {
  const facts = await files.stat(path.bytes, { followLinks: true });
  if (ifMatch === undefined && ifNoneMatch === undefined) return facts;
  if (facts.etag === undefined) throw new NeedsAwake("conditions need an etag");
  if (ifMatch !== undefined && !names(ifMatch, facts)) {
    throw new GuestError("precondition", "the file is another one");
  }
  if (ifNoneMatch !== undefined && names(ifNoneMatch, facts)) throw new NotModified(facts);
  return facts;
}
