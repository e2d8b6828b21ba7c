import { PassThrough, Writable } from "node:stream";
import { encodeHeader, Receive } from "./frames.js";
import type { GuestTransport } from "./types.js";

/** For tests: a guest that shakes hands as asked and then says whatever the test tells it to. */
export class ScriptedGuest {
  /** Requests in the order they came: stream and payload (the first byte is the operation). */
  readonly requests: { stream: number; payload: Buffer }[] = [];
  readonly cancelled: number[] = [];
  attached = 0;
  closed = 0;
  /** Called with each request. */
  onRequest: (stream: number, payload: Buffer) => void = () => {};
  major = 1;
  capabilities = 0;
  answersHello = true;
  #stdout = new PassThrough();

  readonly attach = async (): Promise<GuestTransport> => {
    this.attached++;
    const stdout = new PassThrough();
    this.#stdout = stdout;
    let pending: Buffer = Buffer.alloc(0);
    const stdin = new Writable({
      write: (chunk: Buffer, _encoding, callback) => {
        pending = this.#read(Buffer.concat([pending, chunk]));
        callback();
      },
    });
    const close = (): void => {
      this.closed++;
      stdin.destroy();
      stdout.destroy();
    };
    return { stdin, stdout, close };
  };

  /** A frame, as it is. */
  say(type: number, flags: number, stream: number, payload: Buffer | string = ""): void {
    const bytes = Buffer.from(payload);
    this.raw(Buffer.concat([encodeHeader(type, flags, bytes.length, stream), bytes]));
  }

  raw(bytes: Buffer): void {
    if (!this.#stdout.destroyed) this.#stdout.write(bytes);
  }

  cut(): void {
    this.#stdout.destroy();
  }

  #read(bytes: Buffer): Buffer {
    let rest = bytes;
    for (;;) {
      const start = rest.findIndex((byte) => byte !== 0);
      if (start < 0) return Buffer.alloc(0);
      rest = rest.subarray(start);
      if (rest.length < 8) return rest;
      const length = rest.readUInt16LE(2);
      if (rest.length < length + 12) return rest;
      this.#handle(rest[0] ?? 0, rest.readUInt32LE(4), Buffer.from(rest.subarray(8, 8 + length)));
      rest = rest.subarray(length + 12);
    }
  }

  #handle(type: number, stream: number, payload: Buffer): void {
    if (type === 1 && this.answersHello) {
      const ack = Buffer.alloc(64);
      payload.copy(ack, 0, 12, 28);
      ack.write("CLAWDGST", 16);
      ack.writeUInt16LE(this.major, 24);
      ack.writeUInt32LE(this.capabilities, 28);
      this.say(Receive.helloAck, 0, 0, ack);
    }
    if (type === 2) {
      this.requests.push({ stream, payload });
      this.onRequest(stream, payload);
    }
    if (type === 6) this.cancelled.push(stream);
  }
}
