import { openSync, renameSync } from "node:fs";
import type { FastifyBaseLogger } from "fastify";
import { AuditFile } from "./audit-file.js";
import { lineHash } from "./audit-line.js";
import { type AuditPaths, syncFolder } from "./files.js";
import { expired, type Retention } from "./retention.js";
import { Segment } from "./segment.js";
import type { AuditHead, AuditSource } from "./verify.js";

const NEWLINE = 10;

/** The files of a log: full segments, oldest first, and the one that is written to. */
export class SegmentStore {
  #sealing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly paths: AuditPaths,
    private readonly log: FastifyBaseLogger,
    private full: Segment[],
    private active: Segment,
    private output: AuditFile,
  ) {}

  /** Finds the files of a log and finishes what was cut off: full segments that are not compressed yet. */
  static async open(paths: AuditPaths, log: FastifyBaseLogger): Promise<SegmentStore> {
    const full: Segment[] = [];
    for (const { path, compressed } of await paths.segments()) {
      full.push(
        compressed
          ? await Segment.ofCompressed(paths, path).catch((error: unknown) => {
              log.error({ err: error, path }, "a part of the audit log can't be read");
              return Segment.unreadable(paths, path);
            })
          : await Segment.ofLines(paths, path),
      );
    }
    const output = await AuditFile.open(paths.active);
    await syncFolder(paths.folder);
    const active = await Segment.ofLines(paths, paths.active);
    const store = new SegmentStore(paths, log, full, active, output);
    for (const segment of full) if (!segment.isCompressed) store.#seal(segment);
    return store;
  }

  /** Oldest first; the one that is written to is the last. */
  all(): Segment[] {
    return [...this.full, this.active];
  }

  /** The files as they are now, for one who reads them all, and closes the descriptor in the last of them. */
  sources(): AuditSource[] {
    const { active } = this.paths;
    // Opened at once: the next rotation puts another file under this name.
    const last = {
      path: active,
      compressed: false,
      bytes: this.output.size,
      fd: openSync(active, "r"),
    };
    return [...this.full.map((segment) => segment.source()), last];
  }

  /** The last event's number and hash; undefined where the log is empty. */
  async head(): Promise<AuditHead | undefined> {
    for (const segment of this.all().reverse()) {
      const head = await lastOf(segment);
      if (head) return head;
    }
    return undefined;
  }

  get activeBytes(): number {
    return this.output.size;
  }

  /** Writes lines for good, all or none. @param events one for each line, with the line's length. */
  async write(
    data: Buffer,
    events: readonly { event: Parameters<Segment["lines"]["add"]>[0]; bytes: number }[],
  ): Promise<void> {
    await this.output.append(data);
    for (const { event, bytes } of events) this.active.lines.add(event, bytes);
  }

  /** Closes the file that is written to as a full segment, goes on in a new one, and compresses in the background. */
  async rotate(): Promise<void> {
    const { firstId } = this.active.span ?? {};
    if (firstId === undefined) return;
    const { active, folder } = this.paths;
    const full = this.active;
    const file = this.paths.segment(firstId);
    const output = await AuditFile.open(`${active}.next`);
    // In one go, so that no reader finds a segment under the name of another.
    renameSync(active, file);
    renameSync(`${active}.next`, active);
    full.renamed(file);
    this.full.push(full);
    this.active = Segment.empty(this.paths, active);
    const before = this.output;
    this.output = output;
    await syncFolder(folder);
    await before.close();
    this.#seal(full);
  }

  /**
   * Removes what need not be kept, oldest first.
   * @param onRemove is told before of each full segment that goes; where it throws, the segment stays.
   */
  async prune(
    retention: Retention,
    onRemove: (gone: { firstId: number; lastId: number; hash: string }) => Promise<void>,
  ): Promise<void> {
    await this.#sealing;
    const candidates = await Promise.all(
      this.full.map(async (segment) => ({
        segment,
        bytes: await segment.bytes(),
        maxTime: segment.span?.maxTime ?? Number.POSITIVE_INFINITY,
      })),
    );
    for (const { segment } of candidates.slice(0, expired(candidates, retention, Date.now()))) {
      const { span } = segment;
      const last = await lastOf(segment);
      if (!span || !last) return;
      await onRemove({ firstId: span.firstId, lastId: span.lastId, hash: last.hash });
      this.full = this.full.filter((each) => each !== segment);
      await segment.remove();
    }
  }

  async close(): Promise<void> {
    await this.#sealing;
    await this.output.close();
  }

  #seal(segment: Segment): void {
    this.#sealing = this.#sealing
      .then(() => segment.seal())
      .catch((error: unknown) => {
        // It stays as it is, readable, and is tried again at the next start.
        this.log.warn({ err: error }, "could not compress a full segment of the audit log");
      });
  }
}

async function lastOf(segment: Segment): Promise<AuditHead | undefined> {
  const { span } = segment;
  const source = span && (await segment.open());
  if (!source) return undefined;
  try {
    const data = await source.read(source.index.count - 1);
    const line = data.subarray(data.lastIndexOf(NEWLINE, data.length - 2) + 1, data.length - 1);
    return { id: span.lastId, hash: lineHash(line) };
  } finally {
    await source.close();
  }
}
