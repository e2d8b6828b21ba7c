import { Readable } from "node:stream";
import { type Extract, extract } from "tar-stream";
import { drained, quiet } from "./streams.js";

/** One entry: its header, and its content to read. */
export type ArchiveEntry = Extract extends AsyncIterable<infer Entry> ? Entry : never;

interface ArchiveOptions {
  /** Of names outside PAX headers; those inside are UTF-8 always. */
  filenameEncoding?: "utf-8" | "latin1";
  /** Looks at each piece that comes in; what it throws ends the archive. */
  onBytes?: (total: number) => void;
}

/** The entries of a tar archive as it comes in, one after another; what is not read of one is passed over. */
export class ArchiveEntries implements AsyncIterable<ArchiveEntry> {
  readonly #extract: Extract;
  readonly #entries: AsyncIterator<ArchiveEntry>;
  #current: ArchiveEntry | undefined;
  #failure: unknown;

  constructor(
    private readonly source: Readable,
    { filenameEncoding = "utf-8", onBytes }: ArchiveOptions = {},
  ) {
    // tar-stream's types know the options of streams only.
    const options = { highWaterMark: 65_536, filenameEncoding };
    this.#extract = extract(options);
    // What fails is thrown by next().
    this.#extract.on("error", () => {});
    this.#entries = this.#extract[Symbol.asyncIterator]();
    void this.#feed(onBytes);
  }

  async #feed(onBytes: ArchiveOptions["onBytes"]): Promise<void> {
    let total = 0;
    try {
      for await (const piece of this.source.iterator({ destroyOnReturn: false })) {
        total += piece.length;
        onBytes?.(total);
        if (this.#extract.destroying) return;
        if (!this.#extract.write(piece)) await drained(this.#extract);
      }
      this.#extract.end(undefined);
    } catch (error) {
      this.#failure = error;
      this.#extract.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Throws where the archive is damaged or breaks off. */
  async next(): Promise<IteratorResult<ArchiveEntry, undefined>> {
    this.#current?.resume();
    try {
      const result = await this.#entries.next();
      if (this.#failure !== undefined) throw this.#failure;
      if (result.done) return { done: true, value: undefined };
      this.#current = result.value;
      return result;
    } catch (error) {
      throw this.#failure ?? error;
    }
  }

  close(): void {
    this.source.destroy();
    this.#extract.destroy();
  }

  /** Reads no further, and leaves the source to whoever gave it. */
  detach(): void {
    this.#extract.destroy();
  }

  [Symbol.asyncIterator](): AsyncIterator<ArchiveEntry> {
    return { next: () => this.next() };
  }
}

/** An entry's content as one of Node's own streams. */
export const contentOf = (entry: ArchiveEntry): Readable =>
  quiet(Readable.from(entry, { objectMode: false }));
