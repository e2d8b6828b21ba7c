import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { ClawdspaceError } from "@clawdspace/protocol";
import { quiet } from "./streams.js";

const READ_BYTES = 256 * 1024;
/** What stays free on the disk of the spool, and how often that is looked at. */
const SPARED_BYTES = 1024 ** 3;
const LOOK_EACH_BYTES = 256 * 1024 ** 2;

/** Says that a source was let go of before it had sent everything. */
export class LetGo extends Error {
  override readonly name = "LetGo";
}

/** Removes what a daemon left that was killed in the moment before it took a file's name away. */
export async function emptySpool(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    await rm(join(folder, name), { force: true });
  }
}

/** Whether a folder's disk has room for so many bytes more. */
export async function hasRoom(folder: string, bytes: number): Promise<boolean> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize - bytes > SPARED_BYTES;
}

/**
 * Takes in a source at the speed of the source, into a nameless file, for a reader that may be slow. Whatever ends it, the
 * file goes with it.
 */
export class Spool {
  #taken: number;
  #ended = false;
  #failure: unknown;
  #closed = false;
  #letGo = false;
  #changed = () => {};
  readonly #taking: Promise<void>;

  private constructor(
    private readonly source: Readable,
    private readonly rest: AsyncIterator<Buffer>,
    private readonly file: FileHandle,
    private readonly folder: string,
    /** What came before, in memory. */
    private readonly first: Buffer[],
  ) {
    this.#taken = 0;
    this.#taking = this.#take();
  }

  /**
   * @param source what `rest` is iterating over
   * @param first what was taken from it before
   * @param folder where the file is made
   */
  static async begin(
    source: Readable,
    rest: AsyncIterator<Buffer>,
    first: Buffer[],
    folder: string,
  ): Promise<Spool> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `spool-${randomBytes(8).toString("hex")}`);
    const file = await open(path, "wx+", 0o600);
    await rm(path, { force: true });
    return new Spool(source, rest, file, folder, first);
  }

  /** Resolves when the source has sent all, or was let go of. */
  get taken(): Promise<void> {
    return this.#taking;
  }

  /** Asks nothing more of the source. Who reads gets what was taken in by now, then `LetGo`. */
  letGo(): void {
    if (this.#ended) return;
    this.#letGo = true;
    this.source.destroy();
  }

  /** All bytes in order, at the reader's pace. To be called once. */
  stream(): Readable {
    const stream = quiet(Readable.from(this.#read(), { objectMode: false }));
    stream.once("close", () => this.#close());
    return stream;
  }

  async #take(): Promise<void> {
    let looked = -LOOK_EACH_BYTES;
    try {
      for (let next = await this.rest.next(); !next.done; next = await this.rest.next()) {
        if (this.#closed) break;
        if (this.#taken - looked >= LOOK_EACH_BYTES) {
          if (!(await hasRoom(this.folder, LOOK_EACH_BYTES))) throw noRoom();
          looked = this.#taken;
        }
        for (let piece = next.value; piece.length > 0; ) {
          const { bytesWritten } = await this.file.write(piece, 0, piece.length, this.#taken);
          this.#taken += bytesWritten;
          piece = piece.subarray(bytesWritten);
        }
        this.#changed();
      }
      if (this.#letGo) this.#failure = new LetGo("the source was let go of");
    } catch (error) {
      this.#failure = this.#letGo ? new LetGo("the source was let go of") : error;
    } finally {
      this.source.destroy();
      this.#ended = true;
      this.#changed();
      if (this.#closed) await this.file.close();
    }
  }

  async *#read(): AsyncGenerator<Buffer> {
    for (let piece = this.first.shift(); piece; piece = this.first.shift()) yield piece;
    for (let at = 0; ; ) {
      if (at < this.#taken) {
        const wanted = Math.min(READ_BYTES, this.#taken - at);
        const { bytesRead, buffer } = await this.file.read(Buffer.alloc(wanted), 0, wanted, at);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } else if (this.#ended) {
        if (this.#failure !== undefined) throw this.#failure;
        return;
      } else {
        await new Promise<void>((resolve) => (this.#changed = resolve));
      }
    }
  }

  /** Nobody reads any more. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.first.length = 0;
    this.source.destroy();
    if (this.#ended) this.file.close().catch(() => {});
  }
}

const noRoom = () =>
  new ClawdspaceError(
    "no_space_left",
    "The disk of the node has no room to read so much of a sleeping space. Start the space and read again.",
  );
