import { MAX_PAYLOAD } from "./frames.js";
import type { GuestSession } from "./session.js";
import { GuestError } from "./types.js";

/** Sends a stream's bytes as its window and the transport take them, one chunk after another. */
export class Sender {
  #session: GuestSession | undefined;
  #stream = 0;
  #sent = 0;
  #taken = 0;
  #resume: (() => void) | undefined;

  /** @param window how many bytes may be sent that the guest has not taken yet */
  constructor(
    private readonly what: string,
    private readonly window: number,
  ) {}

  /** The stream is there: what was to be sent before goes now. */
  begin(session: GuestSession, stream: number): void {
    this.#session = session;
    this.#stream = stream;
    this.#resume?.();
  }

  /** Calls back when all of the chunk is sent; until then no other may be. */
  send(chunk: Buffer, callback: () => void): void {
    const session = this.#session;
    this.#resume = undefined;
    let rest = chunk;
    while (session && rest.length > 0 && !session.congested) {
      const room = Math.min(MAX_PAYLOAD, this.window - (this.#sent - this.#taken));
      if (room <= 0) break;
      const piece = rest.subarray(0, room);
      session.data(this.#stream, piece);
      this.#sent += piece.length;
      rest = rest.subarray(piece.length);
    }
    if (rest.length === 0) {
      callback();
      return;
    }
    this.#resume = () => this.send(rest, callback);
    if (session?.congested) session.whenWritable(() => this.#resume?.());
  }

  /** Ends the stream; calls back when that is sent. */
  end(callback: () => void): void {
    this.#resume = this.#session ? undefined : () => this.end(callback);
    if (!this.#session) return;
    this.#session.end(this.#stream);
    callback();
  }

  /** The guest says how many bytes it has taken. Throws "protocol" where that can't be. */
  credit(taken: number): void {
    if (taken > this.#sent || taken <= this.#taken) {
      throw new GuestError("protocol", `The guest agent took the impossible: ${this.what}`);
    }
    this.#taken = taken;
    this.#resume?.();
  }
}
