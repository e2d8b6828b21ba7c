import { asGuestError } from "./errors.js";
import { beginStream, type GuestLink } from "./link.js";
import { PayloadReader } from "./payload.js";
import { decodeExit, encodeOutput } from "./process-codec.js";
import type { GuestSession, StreamHandler } from "./session.js";
import { GuestError, type GuestOutput } from "./types.js";
import { LARGEST_WINDOW } from "./window-budget.js";

const STDOUT = 1;
const STDERR = 2;
const DROPPED = 3;
/** How long a reader that has taken all there was waits before it says so. */
const CREDIT_DELAY_MS = 2;

type Waiting = {
  resolve: (result: IteratorResult<GuestOutput>) => void;
  reject: (error: GuestError) => void;
};

/** Follows one process's output. Subscribes again at its offset whenever the transport broke. */
export class OutputReader implements AsyncIterableIterator<GuestOutput> {
  readonly #link: GuestLink;
  readonly #id: string;
  readonly #signal: AbortSignal | undefined;
  readonly #handler: StreamHandler;
  readonly #explanation: Promise<unknown>;
  #window = 0;
  readonly #queue: GuestOutput[] = [];
  #waiting: Waiting[] = [];
  #received: number;
  #consumed: number;
  #credited: number;
  #limit = 0;
  #started = false;
  #over = false;
  #error: GuestError | undefined;
  #session: GuestSession | undefined;
  #stream = 0;
  #cancel = (): void => {};

  #creditTimer: NodeJS.Timeout | undefined;

  readonly #wanted: number;

  /**
   * started: what a failure to start explains, its error is told instead of "no such process".
   * wanted: of the window, in bytes; with 0 nothing is sent, and nothing from fromOffset on is acknowledged.
   */
  constructor(
    link: GuestLink,
    id: string,
    fromOffset: number,
    signal?: AbortSignal,
    started: Promise<unknown> = Promise.resolve(),
    wanted = LARGEST_WINDOW,
  ) {
    this.#wanted = wanted;
    this.#link = link;
    this.#explanation = started;
    this.#id = id;
    this.#signal = signal;
    this.#received = this.#consumed = this.#credited = fromOffset;
    this.#handler = {
      what: `output of process ${id}`,
      data: (flags, payload) => this.#data(flags, payload),
      done: (payload) => this.#exited(payload),
      failed: (error) => this.#failed(error),
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Subscribes; next() does it too. */
  start(): this {
    if (this.#started) return this;
    this.#started = true;
    if (this.#signal?.aborted) {
      this.#abort();
      return this;
    }
    this.#signal?.addEventListener("abort", this.#abort);
    this.#window = this.#link.budget.take(this.#wanted);
    this.#subscribe();
    return this;
  }

  next(): Promise<IteratorResult<GuestOutput>> {
    this.start();
    const item = this.#queue.shift();
    if (item) {
      this.#consume(item);
      return Promise.resolve({ value: item, done: false });
    }
    if (this.#error) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#over) return Promise.resolve({ value: undefined, done: true });
    // A ring can be full of less than what credit is given for: its process would wait for us, and we for it.
    if (this.#consumed > this.#credited) {
      this.#creditTimer ??= setTimeout(() => this.#credit(), CREDIT_DELAY_MS);
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<GuestOutput>> {
    this.#finish();
    this.#queue.length = 0;
    return Promise.resolve({ value: undefined, done: true });
  }

  #subscribe(): void {
    this.#cancel = this.#link.withSession(
      (session) => {
        this.#limit = this.#received + this.#window;
        this.#credited = this.#received;
        const request = encodeOutput(this.#id, this.#received, this.#window);
        const fail = (error: GuestError): void => this.#fail(error);
        return beginStream(session, request, this.#handler, fail, (stream) => {
          this.#session = session;
          this.#stream = stream;
        });
      },
      (error) => this.#fail(error),
    );
  }

  #data(flags: number, payload: Buffer): void {
    const reader = new PayloadReader(payload);
    const offset = reader.size();
    if (offset !== this.#received) throw lie(this.#handler.what, "another offset");
    if (flags === DROPPED) {
      const bytes = reader.size();
      if (bytes === 0) throw lie(this.#handler.what, "nothing that was dropped");
      this.#received += bytes;
      this.#deliver({ type: "dropped", offset, bytes });
      return;
    }
    const data = reader.rest();
    this.#received += data.length;
    if (data.length === 0 || this.#received > this.#limit) {
      throw lie(this.#handler.what, "more or less than was asked for");
    }
    if (flags !== STDOUT && flags !== STDERR) throw lie(this.#handler.what, "an unknown kind");
    this.#deliver({ type: flags === STDOUT ? "stdout" : "stderr", offset, data });
  }

  #exited(payload: Buffer): void {
    const reader = new PayloadReader(payload);
    const offset = reader.size();
    const exit = decodeExit(reader);
    if (offset !== this.#received) throw lie(this.#handler.what, "an early end");
    this.#deliver({ type: "exit", offset, ...exit });
    this.#finish();
  }

  #failed(error: GuestError): void {
    this.#session = undefined;
    if (error.code === "unavailable" && !this.#link.closed && !this.#over) {
      this.#subscribe();
      return;
    }
    this.#explanation.then(
      () => this.#fail(error),
      (cause: unknown) => this.#fail(asGuestError(cause)),
    );
  }

  #fail(error: GuestError): void {
    if (this.#over) return;
    this.#error = error;
    this.#finish();
  }

  readonly #abort = (): void => {
    this.#queue.length = 0;
    this.#fail(new GuestError("aborted", `${this.#handler.what} was aborted`));
  };

  #deliver(item: GuestOutput): void {
    const waiting = this.#waiting.shift();
    if (!waiting) {
      this.#queue.push(item);
      return;
    }
    this.#consume(item);
    waiting.resolve({ value: item, done: false });
  }

  /** Tells the guest what may be sent next, in eighths of the window. */
  #consume(item: GuestOutput): void {
    if (item.type === "exit") return;
    this.#consumed = item.offset + (item.type === "dropped" ? item.bytes : item.data.length);
    const due = item.type === "dropped" || this.#consumed - this.#credited >= this.#window / 8;
    if (due) this.#credit();
  }

  #credit(): void {
    clearTimeout(this.#creditTimer);
    this.#creditTimer = undefined;
    if (!this.#session || this.#consumed <= this.#credited) return;
    this.#credited = this.#consumed;
    this.#limit = Math.max(this.#limit, this.#consumed + this.#window);
    this.#session.credit(this.#stream, this.#consumed);
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#session = undefined;
    clearTimeout(this.#creditTimer);
    this.#cancel();
    this.#link.budget.give(this.#window);
    this.#signal?.removeEventListener("abort", this.#abort);
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

function lie(what: string, how: string): GuestError {
  return new GuestError("protocol", `The guest agent sent ${how}: ${what}`);
}
