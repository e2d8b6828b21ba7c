import { MAX_PAYLOAD, STDIN_WINDOW } from "./frames.js";
import { beginStream, type GuestLink } from "./link.js";
import { decodeStdin, encodeStdin } from "./process-codec.js";
import type { GuestSession, StreamHandler } from "./session.js";
import { GuestError } from "./types.js";

type Job = { data: Buffer; resolve: () => void; reject: (error: GuestError) => void };

/**
 * Feeds one process. Bytes that the guest has not reported as consumed are kept, and sent again with their offset
 * after a reattach: the guest drops those that it has.
 */
export class StdinFeeder {
  readonly #link: GuestLink;
  readonly #id: string;
  readonly #onFailed: () => void;
  readonly #handler: StreamHandler;
  readonly #jobs: Job[] = [];
  /** Sent and not known to be consumed, from #base on. */
  #kept: Buffer[] = [];
  /** Offset of the first kept byte; undefined until the guest told it, for a process that another daemon started. */
  #base: number | undefined;
  #sent = 0;
  #ending: Job | undefined;
  #endSent = false;
  #session: GuestSession | undefined;
  #stream = 0;
  #opening = false;
  #failure: GuestError | undefined;

  /** knownOffset: 0 for a process that was just started; undefined where bytes may have been sent before. */
  constructor(link: GuestLink, id: string, knownOffset: number | undefined, onFailed: () => void) {
    this.#link = link;
    this.#id = id;
    this.#onFailed = onFailed;
    this.#base = knownOffset;
    this.#sent = knownOffset ?? 0;
    this.#handler = {
      what: `stdin of process ${id}`,
      opened: (payload) => this.#opened(payload),
      credit: (consumed) => this.#credited(consumed),
      done: () => this.#done(),
      failed: (error) => this.#failed(error),
    };
  }

  write(data: Buffer): Promise<void> {
    if (data.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.#failure || this.#ending) {
        reject(this.#failure ?? new GuestError("closed", `${this.#handler.what} was closed`));
        return;
      }
      this.#jobs.push({ data, resolve, reject });
      this.#pump();
    });
  }

  end(): Promise<void> {
    return new Promise((resolve, reject) => {
      // What is closed already need not be closed.
      if (this.#failure || this.#ending) {
        resolve();
        return;
      }
      this.#ending = { data: Buffer.alloc(0), resolve, reject };
      this.#pump();
    });
  }

  #pump(): void {
    const session = this.#session;
    if (!session) {
      this.#open();
      return;
    }
    if (this.#base === undefined) return;
    for (let job = this.#jobs[0]; job; job = this.#jobs[0]) {
      const room = this.#base + STDIN_WINDOW - this.#sent;
      if (room <= 0) return;
      const piece = job.data.subarray(0, Math.min(room, MAX_PAYLOAD));
      job.data = job.data.subarray(piece.length);
      session.data(this.#stream, piece);
      this.#kept.push(piece);
      this.#sent += piece.length;
      if (job.data.length > 0) continue;
      this.#jobs.shift();
      job.resolve();
    }
    if (!this.#ending || this.#endSent) return;
    this.#endSent = true;
    session.end(this.#stream);
  }

  #open(): void {
    if (this.#opening) return;
    this.#opening = true;
    this.#link.withSession(
      (session) => {
        this.#opening = false;
        const request = encodeStdin(this.#id, this.#base);
        const fail = (error: GuestError): void => this.#fail(error);
        return beginStream(session, request, this.#handler, fail, (stream) => {
          this.#stream = stream;
          this.#session = session;
          this.#endSent = false;
          for (const piece of this.#kept) session.data(stream, piece);
          this.#pump();
        });
      },
      (error) => this.#fail(error),
    );
  }

  #opened(payload: Buffer): void {
    const { received, consumed } = decodeStdin(payload);
    if (this.#base === undefined) {
      this.#base = this.#sent = received;
    } else {
      this.#credited(Math.min(consumed, this.#sent), true);
    }
    this.#pump();
  }

  #credited(consumed: number, first = false): void {
    if (this.#base === undefined || consumed > this.#sent || (consumed <= this.#base && !first)) {
      throw new GuestError(
        "protocol",
        `The guest agent consumed the impossible: ${this.#handler.what}`,
      );
    }
    let drop = consumed - this.#base;
    if (drop < 0) return;
    this.#base = consumed;
    while (drop > 0) {
      const piece = this.#kept[0];
      if (!piece) break;
      if (piece.length > drop) {
        this.#kept[0] = piece.subarray(drop);
        break;
      }
      drop -= piece.length;
      this.#kept.shift();
    }
    this.#pump();
  }

  /** The end was taken. A terminal can be written to again after it. */
  #done(): void {
    this.#session = undefined;
    this.#kept = [];
    this.#base = this.#sent;
    const ending = this.#ending;
    this.#ending = undefined;
    ending?.resolve();
    if (!ending) this.#fail(new GuestError("closed", `${this.#handler.what} was closed`));
  }

  #failed(error: GuestError): void {
    this.#session = undefined;
    const pending = this.#jobs.length > 0 || this.#ending || this.#kept.length > 0;
    if (error.code !== "unavailable" || this.#link.closed) this.#fail(error);
    else if (pending) this.#open();
  }

  #fail(error: GuestError): void {
    this.#failure = error;
    this.#kept = [];
    for (const job of this.#jobs.splice(0)) job.reject(error);
    if (error.code === "closed") this.#ending?.resolve();
    else this.#ending?.reject(error);
    this.#ending = undefined;
    this.#onFailed();
  }
}
