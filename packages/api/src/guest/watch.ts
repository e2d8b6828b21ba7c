import { beginStream, type GuestLink } from "./link.js";
import { PayloadReader, PayloadWriter } from "./payload.js";
import type { GuestSession, StreamHandler } from "./session.js";
import { GuestError, type GuestPath, type GuestWatchEvent } from "./types.js";

const OPERATION = 28;
const WINDOW = 128 << 10;
const MAX_PATH = 4096;

type Result = IteratorResult<GuestWatchEvent>;

/** Watches a path: resolves once every change from now on is seen. */
export function watchPath(
  link: GuestLink,
  path: GuestPath,
  recursive: boolean,
  signal: AbortSignal | undefined,
): Promise<AsyncIterable<GuestWatchEvent>> {
  const watch = new Watch(link, path, recursive, signal);
  return watch.ready;
}

class Watch implements AsyncIterableIterator<GuestWatchEvent> {
  readonly ready: Promise<AsyncIterable<GuestWatchEvent>>;
  readonly #link: GuestLink;
  readonly #request: Buffer;
  readonly #what: string;
  readonly #signal: AbortSignal | undefined;
  #resolveReady: () => void = () => {};
  #rejectReady: (error: GuestError) => void = () => {};
  #queue: { event: GuestWatchEvent; size: number }[] = [];
  #waiting: { resolve: (result: Result) => void; reject: (error: GuestError) => void }[] = [];
  #session: GuestSession | undefined;
  #stream = 0;
  #received = 0;
  #consumed = 0;
  #credited = 0;
  #established = false;
  #over = false;
  #error: GuestError | undefined;
  #cancel = (): void => {};

  constructor(
    link: GuestLink,
    path: GuestPath,
    recursive: boolean,
    signal: AbortSignal | undefined,
  ) {
    this.#link = link;
    this.#what = `watch ${path.toString()}`;
    this.#signal = signal;
    this.#request = new PayloadWriter()
      .u8(OPERATION)
      .u8(recursive ? 1 : 0)
      .u32(WINDOW)
      .bytes(path)
      .finish();
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = () => resolve(this);
      this.#rejectReady = reject;
    });
    signal?.addEventListener("abort", this.#abort);
    if (signal?.aborted) this.#abort();
    else this.#subscribe();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    const first = this.#queue.shift();
    if (first) {
      this.#consume(first.size);
      return Promise.resolve({ value: first.event, done: false });
    }
    if (this.#error) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#over) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<Result> {
    this.#finish();
    this.#queue = [];
    return Promise.resolve({ value: undefined, done: true });
  }

  #subscribe(): void {
    this.#cancel = this.#link.withSession(
      (session) => {
        this.#received = this.#consumed = this.#credited = 0;
        const handler: StreamHandler = {
          what: this.#what,
          opened: () => this.#opened(),
          data: (_flags, payload) => this.#data(payload),
          done: () => this.#finish(),
          failed: (error) => this.#failed(error),
        };
        const fail = (error: GuestError): void => this.#fail(error);
        return beginStream(session, this.#request, handler, fail, (stream) => {
          this.#session = session;
          this.#stream = stream;
        });
      },
      (error) => this.#fail(error),
    );
  }

  #opened(): void {
    // After a reattach, whatever happened meanwhile is lost.
    if (this.#established) this.#deliver({ type: "overflow" }, 0);
    this.#established = true;
    this.#resolveReady();
  }

  #data(payload: Buffer): void {
    this.#received += payload.length;
    if (payload.length === 0 || this.#received > this.#credited + WINDOW) {
      throw new GuestError("protocol", `The guest agent tells too much: ${this.#what}`);
    }
    const reader = new PayloadReader(payload);
    while (!reader.done) {
      const size = reader.u32();
      this.#deliver(decodeEvent(new PayloadReader(reader.raw(size))), size + 4);
    }
  }

  #deliver(event: GuestWatchEvent, size: number): void {
    const waiting = this.#waiting.shift();
    if (!waiting) {
      this.#queue.push({ event, size });
      return;
    }
    this.#consume(size);
    waiting.resolve({ value: event, done: false });
  }

  #consume(size: number): void {
    this.#consumed += size;
    const consumed = Math.min(this.#consumed, this.#received);
    if (!this.#session || consumed - this.#credited < WINDOW / 4) return;
    this.#credited = consumed;
    this.#session.credit(this.#stream, consumed);
  }

  #failed(error: GuestError): void {
    this.#session = undefined;
    if (error.code !== "unavailable" || this.#link.closed || this.#over) {
      this.#fail(error);
      return;
    }
    // What is queued no longer counts against the next window.
    for (const item of this.#queue) item.size = 0;
    this.#subscribe();
  }

  #fail(error: GuestError): void {
    if (this.#over) return;
    this.#error = error;
    this.#finish();
  }

  readonly #abort = (): void => {
    this.#queue = [];
    this.#fail(new GuestError("aborted", `${this.#what} was aborted`));
  };

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#session = undefined;
    this.#cancel();
    this.#signal?.removeEventListener("abort", this.#abort);
    if (!this.#established) {
      this.#rejectReady(this.#error ?? new GuestError("aborted", `${this.#what} was given up`));
      this.ready.catch(() => {});
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      if (this.#error) {
        waiter.reject(this.#error);
        this.#error = undefined;
      } else {
        waiter.resolve({ value: undefined, done: true });
      }
    }
  }
}

const TYPES = [undefined, "created", "modified", "removed", "renamed", "overflow"] as const;

function decodeEvent(reader: PayloadReader): GuestWatchEvent {
  const type = TYPES[reader.u8()];
  const dir = reader.u8() !== 0;
  // Copies: an event must not keep the whole chunk that it came in.
  const from = Buffer.from(reader.bytes(MAX_PATH));
  const path = Buffer.from(reader.bytes(MAX_PATH));
  if (!type) throw new GuestError("protocol", "The guest agent told of an unknown kind of change");
  if (type === "overflow") return { type };
  if (type === "renamed") return { type, from, path, dir };
  return { type, path, dir };
}
