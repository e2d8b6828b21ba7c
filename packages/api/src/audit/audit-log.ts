import { access, mkdir, readFile } from "node:fs/promises";
import { type AuditEvent, type AuditVerdict, ClawdspaceError } from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import { z } from "zod";
import { type AuditInput, encodeLine, GENESIS, lineHash } from "./audit-line.js";
import { AuditPaths, replaceFile } from "./files.js";
import type { AuditFilter } from "./filter.js";
import { lockFile } from "./lock.js";
import { lines, newest } from "./query.js";
import { cutTornEnd } from "./recovery.js";
import { Reserve } from "./reserve.js";
import type { Retention } from "./retention.js";
import { SegmentStore } from "./segment-store.js";
import { type AuditHead, verify } from "./verify.js";

const MAX_BATCH = 1000;
const HEAD_EVERY_MS = 1000;
const PRUNE_EVERY_MS = 3600_000;
const RETRY_MS = 250;

export interface AuditOptions {
  /** The file that is written to; full segments lie beside it. */
  path: string;
  /** It is full at this size. */
  rotateBytes: number;
  retention: Retention;
  log: FastifyBaseLogger;
}

interface Waiting {
  input: AuditInput;
  at: Date;
  resolve: (event: AuditEvent) => void;
  reject: (error: ClawdspaceError) => void;
}

/**
 * The log of what was done on this node, as JSON lines. Each line holds the hash of the one before, so that a line that is
 * changed or deleted shows. What `append` has resolved for is on disk; events that come at once share one write.
 */
export class AuditLog {
  readonly #waiting: Waiting[] = [];
  #committing: Promise<void> | undefined;
  /** Why nothing can be written, and when that was last tried. */
  #failure: { error: unknown; triedAt: number } | undefined;
  #retrying: Promise<void> | undefined;
  #closed = false;
  #writing: Promise<void> = Promise.resolve();
  #headTimer: NodeJS.Timeout | undefined;
  #pruneTimer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly options: AuditOptions,
    private readonly paths: AuditPaths,
    private readonly segments: SegmentStore,
    private readonly reserve: Reserve,
    private readonly unlock: () => Promise<void>,
    private last: AuditHead,
  ) {}

  /**
   * Opens a log to write to it, or makes it. What a crash left at its end is cut off, and that is logged.
   * Throws where another process writes it or its folder can't be used.
   */
  static async open(options: AuditOptions): Promise<AuditLog> {
    const paths = new AuditPaths(options.path);
    await mkdir(paths.folder, { recursive: true });
    const unlock = await lockFile(paths.lock);
    try {
      const cutBytes = await cutTornEnd(paths.active, paths.damaged);
      const segments = await SegmentStore.open(paths, options.log);
      const found = (await segments.head()) ?? { id: 0, hash: GENESIS };
      const known = await readHead(paths);
      const lost = Math.max(0, (known?.id ?? 0) - found.id);
      const last = { id: found.id + lost, hash: found.hash };
      const audit = new AuditLog(
        options,
        paths,
        segments,
        new Reserve(paths.reserve),
        unlock,
        last,
      );
      await audit.#begin(cutBytes, lost);
      return audit;
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  async #begin(cutBytes: number, lost: number): Promise<void> {
    await this.reserve.hold().catch((error: unknown) => void this.fail(error));
    if (cutBytes > 0 || lost > 0) {
      this.options.log.warn({ cutBytes, lost }, "the audit log's end was damaged");
      const meta = { cutBytes, lostEvents: lost };
      await this.append({ type: "audit.recover", actor: "system", meta }).catch(() => {});
    }
    this.#prune();
    this.#pruneTimer = setInterval(() => this.#prune(), PRUNE_EVERY_MS).unref();
  }

  /** The number of the last event. */
  get lastId(): number {
    return this.last.id;
  }

  /** Adds an event; resolves when it is on disk. Throws `audit_unavailable`. */
  append(input: AuditInput): Promise<AuditEvent> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(unavailable(new Error("the daemon is ending")));
        return;
      }
      this.#waiting.push({ input, at: new Date(), resolve, reject });
      this.#committing ??= this.#commit().finally(() => {
        this.#committing = undefined;
      });
    });
  }

  /** Resolves where events can be written, as far as is known. Throws `audit_unavailable`. */
  async checkWritable(): Promise<void> {
    if (!this.#failure) return;
    if (!this.#retrying && Date.now() - this.#failure.triedAt >= RETRY_MS) {
      this.#retrying = this.#retry().finally(() => {
        this.#retrying = undefined;
      });
    }
    await this.#retrying;
    if (this.#failure) throw unavailable(this.#failure.error);
  }

  /** The newest `limit` events that a filter asks for, oldest first. */
  async newest(filter: AuditFilter, limit: number): Promise<AuditEvent[]> {
    return await newest(this.segments.all(), filter, limit);
  }

  /** Every line that a filter asks for, oldest first, in pieces of many lines. */
  lines(filter: AuditFilter): AsyncIterable<string> {
    return lines(this.segments.all(), filter);
  }

  /** Follows the chain from the first event to the last. */
  async verify(): Promise<AuditVerdict> {
    await this.#committing;
    return await verify(this.segments.sources(), this.last);
  }

  /** Writes what waits and lets go of the files. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#headTimer);
    clearInterval(this.#pruneTimer);
    await this.#committing;
    await this.segments.close();
    await this.#writeHead();
    await this.unlock();
  }

  async #commit(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      let { id, hash } = this.last;
      const made = batch.map(({ input, at }) => {
        const line = encodeLine(++id, at, input, hash);
        const event = { id, ts: at.toISOString(), ...defined(input), prev: hash };
        hash = lineHash(line);
        return { event, bytes: line.length + 1, line };
      });
      const data = Buffer.concat(made.flatMap(({ line }) => [line, NEWLINE]));
      try {
        await this.#write(() => this.segments.write(data, made));
      } catch (error) {
        const failure = this.fail(error);
        for (const { reject } of batch) reject(failure);
        continue;
      }
      this.last = { id, hash };
      this.#headTimer ??= setTimeout(() => this.#saveHead(), HEAD_EVERY_MS).unref();
      for (const [at, { resolve }] of batch.entries()) {
        const event = made[at]?.event;
        if (event) resolve(event);
      }
      if (this.segments.activeBytes >= this.options.rotateBytes) await this.#rotate();
    }
  }

  /** A full disk has room for what is under way: the reserve. From then on nothing new is let in. */
  async #write(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!isFull(error) || !(await this.reserve.release())) throw error;
      this.fail(error);
      await write();
    }
  }

  async #rotate(): Promise<void> {
    try {
      await this.segments.rotate();
      this.#prune();
    } catch (error) {
      // The file may have got its new name already; what is appended to goes by its descriptor.
      this.options.log.error({ err: error }, "could not begin a new file of the audit log");
    }
  }

  /** Notes that nothing can be written, until that is tried again. Returns what to throw. */
  fail(error: unknown): ClawdspaceError {
    if (!this.#failure) this.options.log.error({ err: error }, "the audit log can't be written");
    this.#failure = { error, triedAt: Date.now() };
    return unavailable(error);
  }

  async #retry(): Promise<void> {
    const failed = this.#failure;
    try {
      await this.reserve.hold();
      await this.append({ type: "audit.resume", actor: "system" });
    } catch (error) {
      this.#failure = { error, triedAt: Date.now() };
    }
    // The write itself may have been what failed once more.
    if (this.#failure !== failed) return;
    this.#failure = undefined;
    this.options.log.info("the audit log can be written again");
  }

  #prune(): void {
    const { retention, log } = this.options;
    if (retention.maxAgeMs === undefined && retention.maxBytes === undefined) return;
    const forget = async (gone: { firstId: number; lastId: number; hash: string }) => {
      await this.append({ type: "audit.prune", actor: "system", meta: gone });
    };
    this.segments
      .prune(retention, forget)
      .catch((error: unknown) => log.warn({ err: error }, "could not shorten the audit log"));
  }

  #saveHead(): void {
    this.#headTimer = undefined;
    // Not being there costs no more than that a log cut off by somebody isn't noticed.
    this.#writeHead().catch(() => {});
  }

  /** One after another: they write to the same file before it takes its name. */
  async #writeHead(): Promise<void> {
    if (this.last.id === 0) return;
    const write = () => replaceFile(this.paths.head, JSON.stringify(this.last), false);
    this.#writing = this.#writing.then(write, write);
    await this.#writing;
  }
}

const NEWLINE = Buffer.from("\n");

const HeadSchema = z.object({ id: z.number().int().min(0), hash: z.string() });

async function readHead(paths: AuditPaths): Promise<AuditHead | undefined> {
  const text = await readFile(paths.head, "utf8").catch(() => "");
  try {
    return HeadSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Follows the chain of a log that no daemon has open. */
export async function verifyAuditLog(path: string): Promise<AuditVerdict> {
  const paths = new AuditPaths(path);
  const sources = (await paths.segments()).map(({ path: file, compressed }) => ({
    path: compressed ? paths.compressed(file) : file,
    compressed,
  }));
  const active = await access(path).then(
    () => [{ path, compressed: false }],
    () => [],
  );
  return await verify([...sources, ...active], await readHead(paths));
}

const isFull = (error: unknown) =>
  ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException)?.code ?? "");

function unavailable(cause: unknown): ClawdspaceError {
  const reason = isFull(cause)
    ? "the disk is full"
    : cause instanceof Error
      ? cause.message
      : String(cause);
  return new ClawdspaceError(
    "audit_unavailable",
    `The audit log can't be written (${reason}), so nothing may be changed. Reading goes on; try again once that is solved.`,
    { cause },
  );
}

const defined = ({ space, type, actor, meta }: AuditInput) => ({
  ...(space === undefined ? {} : { space }),
  type,
  ...(actor === undefined ? {} : { actor }),
  ...(meta === undefined ? {} : { meta }),
});
