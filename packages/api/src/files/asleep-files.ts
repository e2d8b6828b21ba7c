import { isUtf8 } from "node:buffer";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { Engine, PathStat } from "../engine/engine.js";
import { GuestError, type GuestReadOptions } from "../guest/types.js";
import { SANDBOX_UID, WORKSPACE } from "../spaces/container-spec.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { type ArchiveEntries, type ArchiveEntry, contentOf } from "./archive-entries.js";
import { archiveTree } from "./archive-tree.js";
import { NeedsAwake, unlessBeyond } from "./needs-awake.js";
import type { DirEntry, FileFacts, ReadableFiles, TreeEntry, TreeOptions } from "./space-files.js";
import { LetGo } from "./spool.js";
import { quiet } from "./streams.js";
import { takeArchive } from "./take-archive.js";

const DEFAULT_PAGE = 1000;

// A folder that everybody may pass, or look into; the engine does not tell whose it is.
const PASSABLE = 0o001;
const OPEN_FOLDER = 0o005;

interface Parts {
  engine: Pick<Engine, "statPath" | "readArchive">;
  entry: Pick<SpaceEntry, "id" | "readAsleep">;
  /** How what is large is read; where undefined, it needs an awake space. */
  large?: {
    /** A folder of the daemon's for what is too large for its memory. */
    spoolIn: string;
    /** Goes on with a file in the space that has been woken meanwhile. Throws where it is another file by then. */
    goOn(path: Buffer, facts: FileFacts, range: Range): Promise<Readable>;
  };
}

interface Range {
  offset: number;
  length: number;
}

/**
 * The files of a space that sleeps, by the engine's archive calls, without waking it. Since the engine looks as root
 * and follows symlinks anywhere in the space, each step of a path is looked at first; nothing runs there meanwhile. What
 * is not plainly open to the space's user is left to an awake space to allow or refuse.
 */
export class AsleepFiles implements ReadableFiles {
  constructor(private readonly parts: Parts) {}

  async stat(path: Buffer, options: { followLinks?: boolean } = {}): Promise<FileFacts> {
    const { stat } = await this.#resolve(path, options.followLinks ?? false);
    return toFacts(stat);
  }

  async list(path: Buffer, options: { cursor?: string; limit?: number } = {}) {
    if (options.cursor !== undefined) throw new NeedsAwake("pages follow from an awake space only");
    const limit = options.limit ?? DEFAULT_PAGE;
    const entries: DirEntry[] = [];
    for await (const { path: name, facts, target } of this.#entries(path, { topOnly: true })) {
      entries.push({ name, ...facts, ...(target ? { target } : {}) });
      if (entries.length > limit) throw new NeedsAwake("more entries than a page holds");
    }
    return { entries };
  }

  async read(path: Buffer, options: GuestReadOptions = {}) {
    const { offset = 0, length = Number.POSITIVE_INFINITY, signal } = options;
    if (options.ifMatch !== undefined) throw new NeedsAwake("etags come from an awake space only");
    const { location, stat } = await this.#resolve(path, true);
    if (stat.type === "dir") throw new GuestError("is_directory", "is a folder");
    if (stat.type !== "file") throw new GuestError("invalid", "is neither a file nor a folder");
    signal?.throwIfAborted();
    const archive = await this.#archive(location, stat.size);
    const { done, value: entry } = await archive.next().catch(cutOff);
    if (done || entry.header.type !== "file") {
      archive.close();
      throw new NeedsAwake("the engine sends something else");
    }
    if (!mayOpen(entry.header)) {
      archive.close();
      throw new NeedsAwake("the file may not be open to the space's user");
    }
    const size = entry.header.size ?? 0;
    const facts = { ...toFacts(stat), size };
    const pieces = slice(contentOf(entry), offset, length);
    const wanted = Math.max(0, Math.min(length, size - offset));
    const whole = this.#whole(pieces, path, facts, { offset, length: wanted });
    const stream = quiet(Readable.from(whole, { objectMode: false }));
    const abort = () => stream.destroy(new GuestError("aborted", "the read was given up"));
    signal?.addEventListener("abort", abort, { once: true });
    stream.once("close", () => {
      signal?.removeEventListener("abort", abort);
      archive.close();
    });
    return { stat: facts, stream };
  }

  /** All that is wanted of a file: what a wake cuts off comes from the space that is awake then. */
  async *#whole(
    pieces: AsyncIterable<Buffer>,
    path: Buffer,
    facts: FileFacts,
    { offset, length }: Range,
  ): AsyncGenerator<Buffer> {
    let sent = 0;
    try {
      for await (const piece of pieces) {
        sent += piece.length;
        yield piece;
      }
    } catch (error) {
      const { large } = this.parts;
      if (!(error instanceof LetGo) || !large) throw error;
      const left = { offset: offset + sent, length: length - sent };
      if (left.length > 0) yield* await large.goOn(path, facts, left);
    }
  }

  async readAll(path: Buffer, options: { maxBytes: number; signal?: AbortSignal }) {
    const { stat, stream } = await this.read(path, {
      length: options.maxBytes,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const data = await buffer(stream);
    return { stat, data, truncated: stat.size > data.length };
  }

  async readlink(path: Buffer): Promise<Buffer> {
    const { location, stat } = await this.#resolve(path, false);
    if (stat.type !== "symlink") throw new GuestError("invalid", "is no symlink");
    const archive = await this.#archive(location);
    try {
      const { done, value: entry } = await archive.next();
      if (done || !entry.header.linkname) throw new NeedsAwake("the engine tells no target");
      return exactly(entry.header.linkname);
    } finally {
      archive.close();
    }
  }

  async *tree(path: Buffer, { signal, onLeftOut }: TreeOptions): AsyncGenerator<TreeEntry> {
    for await (const entry of this.#entries(path, { topOnly: false, onLeftOut })) {
      signal.throwIfAborted();
      yield entry;
    }
  }

  /** Everything below a folder. Throws `NeedsAwake` where that is too much. */
  async *#entries(
    path: Buffer,
    { topOnly, onLeftOut }: { topOnly: boolean; onLeftOut?: () => void },
  ): AsyncGenerator<TreeEntry> {
    const { location, stat } = await this.#resolve(path, true);
    if (stat.type !== "dir") throw new GuestError("not_directory", "is not a folder");
    if ((stat.mode & OPEN_FOLDER) !== OPEN_FOLDER) {
      throw new NeedsAwake("the folder may not be open to the space's user");
    }
    const archive = await this.#archive(location);
    const root = `${location.slice(location.lastIndexOf("/") + 1)}/`;
    const folder = Buffer.from(location.slice(WORKSPACE.length + 1) || ".");
    try {
      yield* archiveTree(archive, {
        files: this,
        folder,
        root,
        topOnly,
        bytesOf: exactly,
        mayOpen,
        ...(onLeftOut ? { onLeftOut } : {}),
      });
    } finally {
      archive.close();
    }
  }

  /** Finds where a path leads, refusing each symlink that leads out of the workspace. */
  async #resolve(path: Buffer, followLast: boolean): Promise<{ location: string; stat: PathStat }> {
    const names = path.toString() === "." ? [] : exactly(path).toString().split("/");
    let location = WORKSPACE;
    let stat = await this.#find(location);
    for (const [at, name] of names.entries()) {
      if (stat.type !== "dir") throw new GuestError("not_directory", "is not a folder");
      if (!(stat.mode & PASSABLE)) throw new NeedsAwake("a folder on the way may be closed");
      location = `${location}/${name}`;
      stat = await this.#find(location);
      if (stat.type !== "symlink" || (at === names.length - 1 && !followLast)) continue;
      // The engine tells the end of the whole chain of links.
      location = stat.linkTarget ?? "";
      if (location !== WORKSPACE && !location.startsWith(`${WORKSPACE}/`)) {
        throw new GuestError("outside", "a symlink leads out of the workspace");
      }
      stat = await this.#find(location);
      if (stat.type === "symlink") throw new NeedsAwake("a link that the engine does not resolve");
    }
    return { location, stat };
  }

  /** @param size of the file, where it is one: it may be large. */
  async #archive(location: string, size?: number): Promise<ArchiveEntries> {
    const { engine, entry, large } = this.parts;
    const spill = large && size !== undefined ? { spoolIn: large.spoolIn, size } : undefined;
    return await takeArchive(engine, entry, location, spill);
  }

  async #find(location: string): Promise<PathStat> {
    const stat = await this.#look(location);
    if (!stat) throw new GuestError("not_found", "there is no such file or folder");
    return stat;
  }

  async #look(location: string): Promise<PathStat | undefined> {
    return await unlessBeyond(this.parts.engine.statPath(this.parts.entry.id, location));
  }
}

const cutOff = (error: unknown): never => {
  throw error instanceof LetGo ? new NeedsAwake("the space wakes") : error;
};

const toFacts = ({ type, size, mode, mtime }: PathStat): FileFacts => ({
  type,
  size,
  mtimeMs: mtime.getTime(),
  mode,
});

/** Whether the space's user may read a file, or look into a folder. */
function mayOpen({ type, mode, uid, gid }: ArchiveEntry["header"]): boolean {
  const needed = type === "directory" ? 0o5 : 0o4;
  const shift = uid === SANDBOX_UID ? 6 : gid === SANDBOX_UID ? 3 : 0;
  return ((mode >> shift) & needed) === needed;
}

/** Bytes of a text that stands for them exactly; the engine's answers can't carry names that are not UTF-8. */
function exactly(text: string | Buffer): Buffer {
  if (Buffer.isBuffer(text) ? !isUtf8(text) : text.includes("\ufffd")) {
    throw new NeedsAwake("a name is not UTF-8");
  }
  return Buffer.from(text);
}

async function* slice(
  pieces: AsyncIterable<Buffer>,
  offset: number,
  length: number,
): AsyncGenerator<Buffer> {
  let skip = offset;
  let left = length;
  for await (const piece of pieces) {
    const wanted = piece.subarray(Math.min(skip, piece.length)).subarray(0, left);
    skip = Math.max(0, skip - piece.length);
    left -= wanted.length;
    if (wanted.length > 0) yield wanted;
    if (left <= 0) return;
  }
}
