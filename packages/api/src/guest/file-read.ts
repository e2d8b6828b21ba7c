import { Readable } from "node:stream";
import { decodeReadEnd, decodeStat, encodeRead } from "./file-codec.js";
import { beginStream, type GuestLink } from "./link.js";
import {
  GuestError,
  type GuestFileReader,
  type GuestPath,
  type GuestReadOptions,
} from "./types.js";

const HIGH_WATER = 64 << 10;

/**
 * Opens a file for reading. Rejects where it can't be opened; the stream is destroyed with "unavailable" where the
 * transport breaks meanwhile, and with "aborted" by the signal.
 */
export function readFile(
  link: GuestLink,
  path: GuestPath,
  options: GuestReadOptions,
): Promise<GuestFileReader> {
  const what = `read ${path.toString()}`;
  const window = link.budget.take();
  return new Promise((resolve, reject) => {
    let received = 0;
    let credited = 0;
    let complete = false;
    let opened = false;
    let settled = false;
    let cancel = (): void => {};
    let credit = (_consumed: number): void => {};

    const stream = new Readable({
      highWaterMark: HIGH_WATER,
      // Asked for only while little is buffered: all that has come counts as consumed.
      read() {
        if (received - credited < window / 4) return;
        credited = received;
        credit(received);
      },
      destroy(error, callback) {
        settle();
        if (!complete) cancel();
        callback(error);
      },
    });
    // A reader that was given up on has nobody who listens.
    stream.on("error", () => {});

    const settle = (): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      link.budget.give(window);
      options.signal?.removeEventListener("abort", abort);
    };
    const fail = (error: GuestError): void => {
      if (!opened) reject(error);
      stream.destroy(error);
    };
    const abort = (): void => fail(new GuestError("aborted", `${what} was aborted`));
    const timer = setTimeout(
      () => fail(new GuestError("timeout", `${what}: no answer`)),
      link.requestTimeoutMs,
    );
    options.signal?.addEventListener("abort", abort);
    if (options.signal?.aborted) {
      abort();
      return;
    }

    const handler = {
      what,
      opened: (payload: Buffer) => {
        if (opened) throw new GuestError("protocol", `The guest agent opened twice: ${what}`);
        const stat = decodeStat(payload);
        opened = true;
        clearTimeout(timer);
        resolve({ stat, stream });
      },
      data: (_flags: number, payload: Buffer) => {
        received += payload.length;
        const tooMuch = received > credited + window || received > (options.length ?? received);
        if (!opened || payload.length === 0 || tooMuch) {
          throw new GuestError("protocol", `The guest agent sent what was not asked for: ${what}`);
        }
        stream.push(payload);
      },
      done: (payload: Buffer) => {
        complete = true;
        if (decodeReadEnd(payload) !== received || !opened) {
          throw new GuestError("protocol", `The guest agent lost bytes: ${what}`);
        }
        stream.push(null);
      },
      failed: (error: GuestError) => {
        complete = true;
        fail(error);
      },
    };
    const request = encodeRead(path, options, window);
    cancel = link.withSession(
      (session) =>
        beginStream(session, request, handler, fail, (id) => {
          credit = (consumed) => session.credit(id, consumed);
        }),
      fail,
    );
  });
}
