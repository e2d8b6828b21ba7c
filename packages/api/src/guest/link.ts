import { setTimeout as delay } from "node:timers/promises";
import { PayloadReader, PayloadWriter } from "./payload.js";
import { GuestSession, type StreamHandler } from "./session.js";
import {
  type GuestAttach,
  type GuestConnectionOptions,
  GuestError,
  type GuestTransport,
  type OpenPipes,
} from "./types.js";
import { WindowBudget } from "./window-budget.js";

/** Waits before the attempts to attach again, ms. */
const BACKOFF_MS = [0, 10, 20, 50, 100, 250, 500, 1000, 2000];
/** A session that ended sooner than this makes the next wait longer. */
const STABLE_MS = 200;
const CAPABILITY_FILES = 1;
const CAPABILITY_PIPES = 2;
const HANDSHAKE_MS = 3_000;
const PIPES_REQUEST = new PayloadWriter().u8(13).finish();

/** Begins something on a session and gives what ends it early. */
type Begin = (session: GuestSession) => () => void;

export interface RequestOptions {
  /** Asks again after a reattach, where the transport broke. */
  retry?: boolean;
  signal?: AbortSignal | undefined;
  /** How long the answer, or where it is a stream's its first part, may take; null: as long as it takes. */
  timeoutMs?: number | null;
  /** What comes before the answer. */
  stream?: Pick<StreamHandler, "opened" | "data" | "credit">;
  /** Called when the request was sent, with the stream that it has. */
  begun?: (session: GuestSession, stream: number) => void;
}

type Waiter = { ready: (session: GuestSession) => void; failed: (error: GuestError) => void };

/** Keeps one session to the guest: attaches, hands it to those who wait, attaches again where it broke. */
export class GuestLink {
  readonly budget = new WindowBudget();
  readonly #attach: GuestAttach;
  readonly #options: Required<Omit<GuestConnectionOptions, "onClosed">>;
  readonly #onClosed: (reason: GuestError) => void;
  readonly #abort = new AbortController();
  readonly #waiting = new Set<Waiter>();
  #session: GuestSession | undefined;
  #closed: GuestError | undefined;
  #bootId = "";
  #capabilities = 0;
  #attachedAt = 0;
  #unstable = 0;
  #openPipes: OpenPipes | undefined;

  private constructor(attach: GuestAttach, options: GuestConnectionOptions) {
    this.#attach = attach;
    this.#onClosed = options.onClosed ?? (() => {});
    this.#options = {
      openTimeoutMs: options.openTimeoutMs ?? 10_000,
      requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
      reattachMs: options.reattachMs ?? 60_000,
      stopGraceMs: options.stopGraceMs ?? 700,
    };
  }

  /** Resolves with the first handshake done. Throws "unavailable", "version", "protocol" or "closed". */
  static async open(attach: GuestAttach, options: GuestConnectionOptions): Promise<GuestLink> {
    const link = new GuestLink(attach, options);
    try {
      await link.#connect(link.#options.openTimeoutMs);
    } catch (cause) {
      const error = asUnavailable(cause);
      link.#shut(error, () => {});
      throw error;
    }
    return link;
  }

  get hasFiles(): boolean {
    return (this.#capabilities & CAPABILITY_FILES) !== 0;
  }

  get bootId(): string {
    return this.#bootId;
  }

  get requestTimeoutMs(): number {
    return this.#options.requestTimeoutMs;
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Goes on through pipes of the guest's own, now and after each reattach, wherever they can be opened. */
  preferPipes(open: OpenPipes): void {
    if (this.#openPipes) return;
    this.#openPipes = open;
    if (this.#session) this.#moveToPipes(this.#session, open);
  }

  get prefersPipes(): boolean {
    return this.#openPipes !== undefined;
  }

  /**
   * Calls ready at once where a session is there, else when one is; failed when there will be none. What is returned
   * cancels: the waiting, or what ready has begun.
   */
  withSession(ready: Begin, failed: (error: GuestError) => void): () => void {
    if (this.#closed) {
      failed(this.#closed);
      return () => {};
    }
    if (this.#session) return ready(this.#session);
    let cancel = (): void => {
      this.#waiting.delete(waiter);
    };
    const waiter: Waiter = {
      ready: (session) => {
        cancel = ready(session);
      },
      failed,
    };
    this.#waiting.add(waiter);
    return () => cancel();
  }

  /**
   * One request with one answer. Sent before this returns, where a session is there. Without retry a broken transport
   * is "unavailable" and nobody knows whether it was done. An answer that can't be decoded ends the connection.
   */
  request<Answer>(
    what: string,
    payload: Buffer,
    decode: (answer: Buffer) => Answer,
    options: RequestOptions = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let cancel = (): void => {};
      const settle = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener("abort", abort);
      };
      const fail = (error: GuestError): void => {
        settle();
        cancel();
        reject(error);
      };
      const abort = (): void => fail(new GuestError("aborted", `${what} was aborted`));
      const { opened, data, credit } = options.stream ?? {};
      const handler: StreamHandler = {
        what,
        ...(opened && {
          opened: (payload: Buffer) => {
            clearTimeout(timer);
            opened(payload);
          },
        }),
        ...(data && { data }),
        ...(credit && { credit }),
        done: (answer) => {
          resolve(decode(answer));
          settle();
        },
        failed: (error) => {
          if (error.code === "unavailable" && options.retry && !this.#closed) attempt();
          else fail(error);
        },
      };
      const attempt = (): void => {
        const begin = (session: GuestSession) =>
          beginStream(session, payload, handler, fail, (id) => options.begun?.(session, id));
        cancel = this.withSession(begin, fail);
      };
      const { timeoutMs = this.#options.requestTimeoutMs } = options;
      const late = () => fail(new GuestError("timeout", `${what}: no answer for ${timeoutMs} ms`));
      const timer = timeoutMs === null ? undefined : setTimeout(late, timeoutMs);
      options.signal?.addEventListener("abort", abort);
      if (options.signal?.aborted) abort();
      else attempt();
    });
  }

  close(): void {
    const reason = new GuestError("closed", "The connection to the guest agent was closed");
    this.#shut(reason, () => {});
  }

  async #connect(forMs: number): Promise<void> {
    const deadline = Date.now() + forMs;
    for (let attempt = this.#unstable; ; attempt++) {
      const wait = BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] ?? 0;
      if (wait > 0) await delay(wait, undefined, { signal: this.#abort.signal });
      try {
        await this.#attachOnce(deadline);
        return;
      } catch (cause) {
        const error = asUnavailable(cause);
        if (error.code !== "unavailable" || Date.now() >= deadline) throw error;
      }
    }
  }

  async #attachOnce(deadline: number): Promise<void> {
    const left = Math.max(1, deadline - Date.now());
    const limited = new AbortController();
    const timer = setTimeout(() => limited.abort(), left);
    const signal = AbortSignal.any([this.#abort.signal, limited.signal]);
    try {
      const transport = await this.#openTransport(signal);
      const timeoutMs = Math.min(left, HANDSHAKE_MS);
      const session = await GuestSession.open(
        transport,
        { stopGraceMs: this.#options.stopGraceMs, timeoutMs, signal: this.#abort.signal },
        (error) => this.#lost(error),
      );
      this.#attached(session);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Doesn't wait longer than the signal, whatever attach does; a transport that comes too late is closed. */
  #openTransport(signal: AbortSignal): Promise<GuestTransport> {
    return new Promise((resolve, reject) => {
      const late = (): void =>
        reject(new GuestError("unavailable", "Attaching to the guest agent took too long"));
      if (signal.aborted) late();
      signal.addEventListener("abort", late, { once: true });
      this.#attach(signal).then((transport) => {
        if (signal.aborted) transport.close();
        resolve(transport);
      }, reject);
    });
  }

  #attached(session: GuestSession): void {
    if (this.#closed) {
      session.close(this.#closed);
      return;
    }
    // It can have ended in the very chunk that began it.
    if (session.ended) return;
    this.#session = session;
    this.#bootId = session.ack.bootId;
    this.#capabilities = session.ack.capabilities;
    this.#attachedAt = Date.now();
    for (const waiter of [...this.#waiting]) {
      // What a waiter sends can end it; the others wait for the next one.
      if (session.ended) return;
      this.#waiting.delete(waiter);
      waiter.ready(session);
    }
    if (this.#openPipes && !session.ended) this.#moveToPipes(session, this.#openPipes);
  }

  /** Whatever fails here, the session goes on where it is. */
  #moveToPipes(session: GuestSession, open: OpenPipes): void {
    if ((this.#capabilities & CAPABILITY_PIPES) === 0) return;
    const handler: StreamHandler = {
      what: "pipes",
      done: (answer) => {
        const reader = new PayloadReader(answer);
        const transport = open({ input: reader.u32(), output: reader.u32() });
        if (transport) session.moveTo(transport);
      },
      failed: () => {},
    };
    beginStream(session, PIPES_REQUEST, handler, () => {});
  }

  #lost(error: GuestError): void {
    this.#session = undefined;
    if (this.#closed) return;
    if (error.code !== "unavailable") {
      this.#shut(error);
      return;
    }
    this.#unstable = Date.now() - this.#attachedAt < STABLE_MS ? this.#unstable + 1 : 0;
    this.#connect(this.#options.reattachMs).catch((cause: unknown) =>
      this.#shut(asUnavailable(cause)),
    );
  }

  #shut(reason: GuestError, tell: (reason: GuestError) => void = this.#onClosed): void {
    if (this.#closed) return;
    this.#closed = reason;
    this.#abort.abort();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    const session = this.#session;
    this.#session = undefined;
    session?.close(reason);
    for (const waiter of waiting) waiter.failed(reason);
    tell(reason);
  }
}

/** Opens a stream and gives what cancels it; where it can't be opened, fail hears why. */
export function beginStream(
  session: GuestSession,
  request: Buffer,
  handler: StreamHandler,
  fail: (error: GuestError) => void,
  opened: (stream: number) => void = () => {},
): () => void {
  let stream: number;
  try {
    stream = session.open(request, handler);
  } catch (error) {
    fail(asUnavailable(error));
    return () => {};
  }
  opened(stream);
  return () => session.cancel(stream);
}

/** What attach throws may be anything; only the guest's own words end the attempts. */
function asUnavailable(cause: unknown): GuestError {
  if (cause instanceof GuestError) return cause;
  return new GuestError("unavailable", "The guest agent can't be reached", { cause });
}
