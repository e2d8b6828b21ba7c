import { type Readable, Transform } from "node:stream";
import { EngineError } from "./engine.js";

/** How long an engine may take to answer an ordinary call, where nothing else is said. */
export const ENGINE_TIMEOUT_MS = 30_000;
const SLOW_FACTOR = 4;
const SILENT_FACTOR = 10;

/** Deadlines for calls of an engine: one that hangs holds nobody up for ever. */
export class Deadlines {
  /** @param quickMs what an ordinary call may take, in milliseconds. */
  constructor(readonly quickMs: number) {}

  /** What a call may take that starts, stops, makes or removes something. */
  get slowMs(): number {
    return this.quickMs * SLOW_FACTOR;
  }

  /** How long a stream of progress may be silent. */
  get silentMs(): number {
    return this.quickMs * SILENT_FACTOR;
  }

  /**
   * Runs a call, and aborts it where it has not answered in time. What it gives, such as a stream, has no deadline.
   * Throws `unavailable` at the deadline.
   */
  async within<T>(
    ms: number,
    what: string,
    request: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(tooLate(what, ms));
        controller.abort();
      }, ms);
    });
    try {
      return await Promise.race([request(controller.signal), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * As `within`, of a call that is fed by a stream: the deadline begins anew with each piece, and a stream that breaks off ends the
   * call with its error. The stream itself is left as it is.
   */
  async fed<T>(
    ms: number,
    what: string,
    source: Readable,
    request: (signal: AbortSignal, fed: Readable) => Promise<T>,
  ): Promise<T> {
    const controller = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    let fail: (error: unknown) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      fail = (error) => {
        reject(error);
        controller.abort();
      };
    });
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => fail(tooLate(what, ms)), ms);
    };
    const fed = new Transform({
      transform(piece, _encoding, done) {
        wait();
        done(null, piece);
      },
    });
    fed.on("error", fail);
    const onError = (error: Error) => fed.destroy(error);
    const onClose = () => {
      if (!source.readableEnded) fed.destroy(new Error("what was to be sent broke off"));
    };
    source.once("error", onError).once("close", onClose);
    wait();
    try {
      source.pipe(fed);
      return await Promise.race([request(controller.signal, fed), failed]);
    } finally {
      clearTimeout(timer);
      source.off("error", onError).off("close", onClose).unpipe(fed);
      fed.destroy();
    }
  }

  /** The same values; a stream that is silent for too long is ended by `end`. Throws `unavailable` then. */
  async *spoken<T>(what: string, stream: AsyncIterable<T>, end: () => void): AsyncGenerator<T> {
    let silent = false;
    const hush = () => {
      silent = true;
      end();
    };
    let timer = setTimeout(hush, this.silentMs);
    try {
      for await (const each of stream) {
        clearTimeout(timer);
        yield each;
        timer = setTimeout(hush, this.silentMs);
      }
    } catch (error) {
      throw silent ? tooLate(what, this.silentMs) : error;
    } finally {
      clearTimeout(timer);
    }
    if (silent) throw tooLate(what, this.silentMs);
  }
}

const tooLate = (what: string, ms: number) =>
  new EngineError(
    "unavailable",
    `${what} failed: the container engine did not answer within ${ms / 1000} s. See whether "docker info" answers on the node, and restart the engine if it hangs.`,
  );
