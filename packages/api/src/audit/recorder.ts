import { randomUUID } from "node:crypto";
import type { AuditEvent, ErrorCode } from "@clawdspace/protocol";
import type { AuditInput } from "./audit-line.js";
import { AuditLog, type AuditOptions } from "./audit-log.js";
import { AuditPaths } from "./files.js";
import { toRecord } from "./mask.js";
import { PendingFile, type Started } from "./pending.js";

const MAX_META_BYTES = 64 * 1024;

/** What is about to be done. */
export interface OperationStart extends AuditInput {
  /** The request that does it; an id of its own where it has none. */
  request?: string;
  /** Values that are secrets here, whatever they look like. */
  secrets?: readonly string[];
}

export type Outcome = { outcome: "ok" } | { outcome: "error"; code: ErrorCode };

/** Told of what begins and of what has been logged. */
export interface RecorderListener {
  began(what: Started): void;
  logged(event: AuditEvent): void;
}

/**
 * Records what is done to the node and its spaces: an operation is in the pending file while it runs and becomes an event
 * of the log, with how it ended, before anybody is told that it has.
 */
export class Recorder {
  #opened: { log: AuditLog; pending: PendingFile } | undefined;
  readonly #listeners: RecorderListener[] = [];
  #closed = false;

  constructor(private readonly options: AuditOptions) {}

  /** Opens the log. What a killed daemon had under way becomes events with the outcome "interrupted". */
  async open(): Promise<void> {
    const log = await AuditLog.open(this.options);
    const { file: pending, left } = PendingFile.open(new AuditPaths(this.options.path).pending);
    this.#opened = { log, pending };
    const logged = await Promise.all(left.map((started) => this.#interrupted(log, started)));
    if (logged.every(Boolean)) pending.clear();
  }

  /** The log, for those who read it. */
  get log(): AuditLog {
    return this.#now().log;
  }

  listen(listener: RecorderListener): void {
    this.#listeners.push(listener);
  }

  /** Begins something that changes the node or a space. Throws `audit_unavailable` where it could not be logged. */
  async begin(start: OperationStart): Promise<Operation> {
    const { log, pending } = this.#now();
    await log.checkWritable();
    const { request = randomUUID(), secrets = [], type, space, actor } = start;
    const started: Started = {
      request,
      after: log.lastId,
      at: new Date().toISOString(),
      type,
      ...(space === undefined ? {} : { space }),
      ...(actor === undefined ? {} : { actor }),
      meta: recorded(start.meta ?? {}, secrets),
    };
    try {
      pending.begin(started);
    } catch (error) {
      throw log.fail(error);
    }
    for (const listener of this.#listeners) listener.began(started);
    return new Operation(started, secrets, async (event) => {
      if (event) await this.#log(event);
      pending.end(request);
    });
  }

  /** Logs an event and waits until it is on disk. Texts in it are masked. Throws `audit_unavailable`. */
  async append(input: AuditInput): Promise<AuditEvent> {
    const { meta } = input;
    return await this.#log(meta === undefined ? input : { ...input, meta: recorded(meta, []) });
  }

  async #log(input: AuditInput): Promise<AuditEvent> {
    const event = await this.log.append(input);
    for (const listener of this.#listeners) listener.logged(event);
    return event;
  }

  /** Logs an event that nobody waits for. */
  note(input: AuditInput): void {
    this.append(input).catch((error: unknown) =>
      this.options.log.error({ err: error, type: input.type }, "an event could not be logged"),
    );
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#opened?.log.close();
    this.#opened?.pending.close();
  }

  /** The daemon may have been killed between the event and its end in the pending file. */
  async #interrupted(log: AuditLog, started: Started): Promise<boolean> {
    const { request, after, type, space, actor, meta, at } = started;
    const logged = await log.newest({ type, space, after }, 1000);
    if (logged.some((event) => event.meta?.request === request)) return true;
    const rest = { ...meta, outcome: "interrupted", startedAt: at, request };
    return await log.append({ type, space, actor, meta: rest }).then(
      () => true,
      (error: unknown) => {
        this.options.log.error({ err: error, type }, "what was interrupted could not be logged");
        return false;
      },
    );
  }

  #now() {
    if (!this.#opened) throw new Error("the audit log is not open yet");
    return this.#opened;
  }
}

/** Something that is being done and logged. */
export class Operation {
  readonly #startedAt = performance.now();
  #finished: Promise<void> | undefined;

  constructor(
    private readonly started: Started,
    private readonly secrets: readonly string[],
    /** Ends it, with its event where there is one. */
    private readonly end: (event?: AuditInput) => Promise<void>,
  ) {}

  get space(): string | undefined {
    return this.started.space;
  }

  /** Adds to what the event will tell. Texts are masked. */
  add(meta: Record<string, unknown>): void {
    Object.assign(this.started.meta, recorded(meta, this.secrets));
  }

  /** Logs how it ended; resolves when that is on disk. Only the first call counts. Throws `audit_unavailable`. */
  finish(outcome: Outcome = { outcome: "ok" }): Promise<void> {
    this.#finished ??= this.#finish(outcome);
    return this.#finished;
  }

  /** Forgets it: nothing was done. */
  async cancel(): Promise<void> {
    this.#finished ??= this.end();
    await this.#finished;
  }

  get isFinished(): boolean {
    return this.#finished !== undefined;
  }

  async #finish(outcome: Outcome): Promise<void> {
    const { type, space, actor, meta, request } = this.started;
    const durationMs = Math.round((performance.now() - this.#startedAt) * 10) / 10;
    await this.end({ type, space, actor, meta: { ...meta, ...outcome, durationMs, request } });
  }
}

function recorded(
  meta: Record<string, unknown>,
  secrets: readonly string[],
): Record<string, unknown> {
  const record = Object.fromEntries(
    Object.entries(meta).map(([name, value]) => [name, toRecord(value, secrets)]),
  );
  const bytes = JSON.stringify(record).length;
  return bytes <= MAX_META_BYTES ? record : { tooLarge: bytes, fields: Object.keys(record) };
}
