import { randomBytes } from "node:crypto";
import type { Event, EventType } from "@clawdspace/protocol";

const KEPT_EVENTS = 10_000;
const BATCH = 100;
/** Events point at what happened; the audit log has it whole. */
const MAX_TEXT = 300;

/** An event as its maker gives it. */
export interface NewEvent {
  type: EventType;
  space?: string | undefined;
  actor?: string | undefined;
  data?: Record<string, unknown> | undefined;
  at?: Date;
}

/** What happens on this node, to whoever listens; the last events are kept for those who come back or are slow. */
export class EventBus {
  /** In each id, so that one of an earlier daemon is told from one of this. */
  readonly #run = randomBytes(4).toString("hex");
  readonly #kept: Event[] = [];
  readonly #waiting = new Set<() => void>();
  #count = 0;

  constructor(private readonly limit = KEPT_EVENTS) {}

  publish({ type, space, actor, data, at = new Date() }: NewEvent): void {
    const event: Event = {
      id: this.#id(this.#count + 1),
      ts: at.toISOString(),
      type,
      ...(space === undefined ? {} : { space }),
      ...(actor === undefined ? {} : { actor }),
      ...(data === undefined ? {} : { data: shortened(data) }),
    };
    this.#kept[this.#count++ % this.limit] = event;
    for (const wake of [...this.#waiting]) wake();
  }

  /** The id of the last event. */
  get lastId(): string {
    return this.#id(this.#count);
  }

  /** Resolves after the next event, or when the signal aborts. */
  async next(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
    });
  }

  /** The events that follow the one with this id, a batch at a time at the reader's pace, until the signal aborts. */
  async *follow(id: string, signal: AbortSignal): AsyncGenerator<Event[]> {
    let last = id;
    while (!signal.aborted) {
      const batch = this.after(last, BATCH);
      if (batch.length === 0) await this.next(signal);
      else yield batch;
      last = batch.at(-1)?.id ?? last;
    }
  }

  /**
   * At most `max` of the events that follow the one with this id, oldest first. Where some of them are no longer known,
   * a "stream.reset" comes first.
   */
  after(id: string, max: number): Event[] {
    const [run, number] = id.split("-");
    const from = run === this.#run ? Number(number) : Number.NaN;
    const oldest = Math.max(0, this.#count - this.limit);
    if (from >= oldest && from <= this.#count) return this.#range(from, max);
    const reset: Event = {
      id: this.#id(oldest),
      ts: new Date().toISOString(),
      type: "stream.reset",
    };
    return [reset, ...this.#range(oldest, max - 1)];
  }

  #range(from: number, max: number): Event[] {
    const events: Event[] = [];
    for (let at = from; at < this.#count && events.length < max; at++) {
      const event = this.#kept[at % this.limit];
      if (event) events.push(event);
    }
    return events;
  }

  #id = (number: number) => `${this.#run}-${number}`;
}

function shortened(data: Record<string, unknown>): Record<string, unknown> {
  const short = (value: unknown) =>
    typeof value === "string" && value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => {
      if (!Array.isArray(value)) return [name, short(value)];
      const words = value.join(" ").length > MAX_TEXT ? value.slice(0, 8) : value;
      return [name, words.map(short)];
    }),
  );
}
