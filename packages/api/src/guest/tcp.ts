import { Duplex } from "node:stream";
import { TCP_WINDOW } from "./frames.js";
import { beginStream, type GuestLink } from "./link.js";
import { PayloadWriter } from "./payload.js";
import { Sender } from "./sender.js";
import { GuestError } from "./types.js";

const OPERATION = 12;
const HIGH_WATER = 64 << 10;

/** Connects to a port inside the space. The signal matters until it is connected; then the stream is the caller's. */
export function connectPort(
  link: GuestLink,
  port: number,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  const what = `connect to port ${port}`;
  const window = link.budget.take(256 << 10);
  return new Promise((resolve, reject) => {
    const sender = new Sender(what, TCP_WINDOW);
    let received = 0;
    let credited = 0;
    let connected = false;
    let over = false;
    let readEnded = false;
    let cancel = (): void => {};
    let credit = (_consumed: number): void => {};

    const stream = new Duplex({
      allowHalfOpen: true,
      // It ends when the guest says that both directions have, else bytes on their way would be cut off.
      autoDestroy: false,
      readableHighWaterMark: HIGH_WATER,
      read() {
        // Asked for only while little is buffered: all that has come counts as consumed.
        if (received - credited < window / 4) return;
        credited = received;
        credit(received);
      },
      write(chunk: Buffer, _encoding, callback) {
        sender.send(chunk, callback);
      },
      final(callback) {
        sender.end(callback);
      },
      destroy(error, callback) {
        settle();
        if (!over) cancel();
        over = true;
        link.budget.give(window);
        callback(error);
      },
    });
    stream.on("error", () => {});

    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    };
    const fail = (error: GuestError): void => {
      if (!connected) reject(error);
      stream.destroy(error);
    };
    const abort = (): void => fail(new GuestError("aborted", `${what} was aborted`));
    const timer = setTimeout(
      () => fail(new GuestError("timeout", `${what}: no answer`)),
      link.requestTimeoutMs,
    );
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) {
      abort();
      return;
    }
    const endReading = (): void => {
      if (!readEnded) stream.push(null);
      readEnded = true;
    };
    const handler = {
      what,
      opened: () => {
        if (connected) throw new GuestError("protocol", `The guest agent connected twice: ${what}`);
        connected = true;
        settle();
        resolve(stream);
      },
      data: (_flags: number, payload: Buffer) => {
        received += payload.length;
        const tooMuch = received > credited + window;
        if (!connected || readEnded || payload.length === 0 || tooMuch) {
          throw new GuestError("protocol", `The guest agent sent what was not asked for: ${what}`);
        }
        stream.push(payload);
      },
      ended: endReading,
      credit: (taken: number) => sender.credit(taken),
      done: () => {
        over = true;
        if (!connected) {
          throw new GuestError("protocol", `The guest agent never connected: ${what}`);
        }
        endReading();
        if (stream.readableEnded) stream.destroy();
        else stream.once("end", () => stream.destroy());
      },
      failed: (error: GuestError) => {
        over = true;
        fail(error);
      },
    };
    const request = new PayloadWriter().u8(OPERATION).u16(port).u32(window).finish();
    cancel = link.withSession(
      (ready) =>
        beginStream(ready, request, handler, fail, (id) => {
          credit = (consumed) => ready.credit(id, consumed);
          sender.begin(ready, id);
        }),
      fail,
    );
  });
}
