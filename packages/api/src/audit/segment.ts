import { type FileHandle, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { Block, BlockIndex as Index } from "./block-index.js";
import { BlockIndex } from "./block-index.js";
import { type AuditPaths, replaceFile, syncFolder } from "./files.js";
import { indexLines } from "./index-lines.js";
import type { AuditSource } from "./verify.js";

const inflate = promisify(gunzip);
const deflate = promisify(gzip);

/** A segment as one reader sees it, whatever happens to it meanwhile. */
export interface OpenSegment {
  readonly index: Index;
  /** The lines of one block. */
  read(at: number): Promise<Buffer>;
  close(): Promise<void>;
}

type Span = Pick<Block, "firstId" | "lastId" | "minTime" | "maxTime">;

/**
 * A stretch of the log: the file that is written to, or one that is full and gets compressed. Blocks of a compressed one
 * are gzip members of their own, so that one is read without the others and `zcat` reads them all.
 */
export class Segment {
  #compressed = false;
  #span: Span | undefined;

  private constructor(
    private readonly paths: AuditPaths,
    private file: string,
    /** undefined where it lies in the file beside a compressed segment. */
    private index: Index | undefined,
  ) {}

  /** A file of lines, which is read once to index it. */
  static async ofLines(paths: AuditPaths, file: string): Promise<Segment> {
    return new Segment(paths, file, await indexLines(file));
  }

  /** A file that has no line yet. */
  static empty(paths: AuditPaths, file: string): Segment {
    return new Segment(paths, file, new BlockIndex());
  }

  /** A compressed segment; an index that is missing or isn't its own is made anew. Throws where it can't be read. */
  static async ofCompressed(paths: AuditPaths, file: string): Promise<Segment> {
    const segment = new Segment(paths, file, undefined);
    // Left by a crash between the compression and the removal of what was compressed.
    await rm(file, { force: true });
    const index = await segment.#readIndex();
    if (index) {
      segment.#compressed = true;
      segment.#span = index.span();
      return segment;
    }
    await writeFile(file, await inflate(await readFile(paths.compressed(file))), { mode: 0o600 });
    segment.index = await indexLines(file);
    await segment.seal();
    return segment;
  }

  /** A compressed segment of which nothing more can be had than that it is there. */
  static unreadable(paths: AuditPaths, file: string): Segment {
    const segment = new Segment(paths, file, undefined);
    segment.#compressed = true;
    return segment;
  }

  get isCompressed(): boolean {
    return this.#compressed;
  }

  /** What it holds; undefined while it is empty. */
  get span(): Span | undefined {
    return this.index ? this.index.span() : this.#span;
  }

  /** The index that the writer adds to. */
  get lines(): Index {
    if (!this.index) throw new Error("a compressed segment is not written to");
    return this.index;
  }

  get path(): string {
    return this.#compressed ? this.paths.compressed(this.file) : this.file;
  }

  /** The writer has given its file another name. */
  renamed(file: string): void {
    this.file = file;
  }

  /** Its file as it is now, for one who reads it whole. */
  source(): AuditSource {
    return { path: this.path, compressed: this.#compressed };
  }

  async bytes(): Promise<number> {
    return (await stat(this.path)).size;
  }

  /** Opens it for reading; undefined where it was removed meanwhile. */
  async open(): Promise<OpenSegment | undefined> {
    // It may be renamed or compressed between one step and the next; then they are taken again.
    for (let attempt = 0; attempt < 5; attempt++) {
      const compressed = this.#compressed;
      const index = this.index ?? (await this.#readIndex());
      const { path } = this;
      const handle = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      });
      const same = compressed === this.#compressed && path === this.path;
      if (handle && index && same) return opened(handle, index, compressed);
      await handle?.close();
    }
    return undefined;
  }

  /** Compresses a full segment and puts its index beside it; readers that have it open go on. */
  async seal(): Promise<void> {
    const from = await this.open();
    if (!from) return;
    const { file, paths } = this;
    const members: Buffer[] = [];
    try {
      for (let at = 0; at < from.index.count; at++)
        members.push(await deflate(await from.read(at)));
    } finally {
      await from.close();
    }
    const index = from.index.moved(members.map((member) => member.length));
    await replaceFile(paths.index(file), index.toBuffer());
    await replaceFile(paths.compressed(file), Buffer.concat(members));
    await syncFolder(paths.folder);
    this.#span = index.span();
    this.#compressed = true;
    this.index = undefined;
    await rm(file, { force: true });
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
    await rm(this.paths.index(this.file), { force: true });
  }

  async #readIndex(): Promise<Index | undefined> {
    try {
      const { size } = await stat(this.paths.compressed(this.file));
      return BlockIndex.fromBuffer(await readFile(this.paths.index(this.file)), size);
    } catch {
      return undefined;
    }
  }
}

function opened(handle: FileHandle, index: Index, compressed: boolean): OpenSegment {
  return {
    index,
    async read(at) {
      const { offset, length } = index.block(at);
      const data = Buffer.allocUnsafe(length);
      const { bytesRead } = await handle.read(data, 0, length, offset);
      const whole = data.subarray(0, bytesRead);
      return compressed ? await inflate(whole) : whole;
    },
    close: () => handle.close(),
  };
}
