import { GuestError } from "./types.js";

// The wire format of docs/GUEST.md; packages/guest/src/frames.h is its other end.

export const PROTOCOL_MAJOR = 1;
export const PROTOCOL_MINOR = 1;
export const MAX_PAYLOAD = 32_768;
export const HEADER_SIZE = 8;
export const NONCE_SIZE = 16;
export const MAX_REQUEST = 2 << 20;
export const MAX_REPLY = 1 << 20;
const TRAILER_SIZE = 4;
const HELLO_SIZE = 48;
const HELLO_ACK_SIZE = 64;
const MAGIC = Buffer.from("CLAWDGST");
const HELLO_TRAILER = Buffer.from([0xc1, 0xa7, 0xd5, 0x9b]);
/** A half frame in the guest's stdin swallows at most this many zeros. */
const PAD_SIZE = 40_960;

/** Frames from daemon to guest. */
export const Send = {
  hello: 1,
  request: 2,
  data: 3,
  end: 4,
  credit: 5,
  cancel: 6,
  switch: 7,
} as const;
/** Frames from guest to daemon. */
export const Receive = {
  helloAck: 0x81,
  reply: 0x82,
  data: 0x83,
  end: 0x84,
  credit: 0x85,
  error: 0x86,
  desync: 0x87,
  switched: 0x88,
} as const;

export const FLAG_MORE = 1;
export const FLAG_OPEN = 2;

/** What may be sent to the guest before its first credit. */
export const STDIN_WINDOW = 64 << 10;
export const WRITE_WINDOW = 1 << 20;
export const TCP_WINDOW = 128 << 10;

export type Frame = { type: number; flags: number; stream: number; payload: Buffer };

/** The four bytes that end every frame of a session: late frames of an earlier one are told by them. */
export function sessionTag(nonce: Buffer): Buffer {
  return Buffer.from(nonce.subarray(0, TRAILER_SIZE).map((byte) => byte || 0xa5));
}

/** Frame header, payload and tag in one buffer. The payload is at most MAX_PAYLOAD long. */
export function encodeFrame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer,
  tag: Buffer,
): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_SIZE + payload.length + TRAILER_SIZE);
  writeHeader(frame, type, flags, payload.length, stream);
  payload.copy(frame, HEADER_SIZE);
  tag.copy(frame, HEADER_SIZE + payload.length);
  return frame;
}

/** The header alone, for a payload that is written beside it. */
export function encodeHeader(type: number, flags: number, length: number, stream: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_SIZE);
  writeHeader(header, type, flags, length, stream);
  return header;
}

function writeHeader(at: Buffer, type: number, flags: number, length: number, stream: number) {
  at[0] = type;
  at[1] = flags;
  at.writeUInt16LE(length, 2);
  at.writeUInt32LE(stream, 4);
}

/** What opens a session: zeros that end whatever half frame the guest holds, then HELLO. */
export function encodeHello(nonce: Buffer, stopGraceMs: number): Buffer {
  const payload = Buffer.alloc(HELLO_SIZE);
  MAGIC.copy(payload, 0);
  payload.writeUInt16LE(PROTOCOL_MAJOR, 8);
  payload.writeUInt16LE(PROTOCOL_MINOR, 10);
  nonce.copy(payload, 12);
  payload.writeUInt32LE(stopGraceMs, 28);
  return Buffer.concat([
    Buffer.alloc(PAD_SIZE),
    encodeFrame(Send.hello, 0, 0, payload, HELLO_TRAILER),
  ]);
}

export type HelloAck = { major: number; minor: number; capabilities: number; bootId: string };

/** Finds the answer to our HELLO among bytes that were meant for somebody else. */
export class HelloScanner {
  readonly #needle: Buffer;
  readonly #maxBytes: number;
  #kept: Buffer = Buffer.alloc(0);
  #seen = 0;

  constructor(nonce: Buffer, maxBytes: number) {
    this.#needle = Buffer.concat([encodeHeader(Receive.helloAck, 0, HELLO_ACK_SIZE, 0), nonce]);
    this.#maxBytes = maxBytes;
  }

  /** The answer and the bytes after it, once it is complete. Throws "protocol" past the bound. */
  push(chunk: Buffer): { ack: HelloAck; rest: Buffer } | undefined {
    this.#seen += chunk.length;
    if (this.#seen > this.#maxBytes) {
      throw new GuestError("protocol", "the guest sent too much without answering the handshake");
    }
    const bytes = this.#kept.length > 0 ? Buffer.concat([this.#kept, chunk]) : chunk;
    const found = bytes.indexOf(this.#needle);
    const end = found + HEADER_SIZE + HELLO_ACK_SIZE;
    if (found < 0 || bytes.length < end) {
      const keep = found < 0 ? bytes.length - this.#needle.length + 1 : found;
      this.#kept = Buffer.from(bytes.subarray(Math.max(0, keep)));
      return undefined;
    }
    const payload = bytes.subarray(found + HEADER_SIZE, end);
    const ack = {
      major: payload.readUInt16LE(24),
      minor: payload.readUInt16LE(26),
      capabilities: payload.readUInt32LE(28),
      bootId: payload.toString("hex", 32, 48),
    };
    return { ack, rest: bytes.subarray(end) };
  }
}

/** Cuts the guest's bytes into frames. Payloads are views into the chunks wherever a chunk holds them whole. */
export class FrameDecoder {
  readonly #onFrame: (type: number, flags: number, stream: number, payload: Buffer) => void;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(onFrame: (type: number, flags: number, stream: number, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  /** Throws "protocol" for what no guest sends; nothing may be pushed after that. */
  push(chunk: Buffer): void {
    let rest = this.#length > 0 ? this.#complete(chunk) : chunk;
    while (rest.length >= HEADER_SIZE) {
      const total = HEADER_SIZE + checkedLength(rest);
      if (rest.length < total) break;
      this.#emit(rest.subarray(0, total));
      rest = rest.subarray(total);
    }
    if (rest.length > 0) {
      this.#parts = [rest];
      this.#length = rest.length;
    }
  }

  /** Joins what is kept with no more of the chunk than its frame needs; gives the remainder. */
  #complete(chunk: Buffer): Buffer {
    let rest = chunk;
    for (const needed of [HEADER_SIZE, 0]) {
      const total = needed || HEADER_SIZE + checkedLength(this.#join());
      const missing = Math.max(0, total - this.#length);
      this.#parts.push(rest.subarray(0, missing));
      this.#length += Math.min(missing, rest.length);
      rest = rest.subarray(missing);
      if (this.#length < total) return rest;
    }
    const frame = this.#join();
    this.#parts = [];
    this.#length = 0;
    this.#emit(frame);
    return rest;
  }

  #join(): Buffer {
    const [first] = this.#parts;
    if (first && this.#parts.length === 1) return first;
    // Many tiny chunks are joined once the header is there and once at the end, not each time.
    const joined = Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }

  #emit(frame: Buffer): void {
    this.#onFrame(frame[0] ?? 0, frame[1] ?? 0, frame.readUInt32LE(4), frame.subarray(HEADER_SIZE));
  }
}

function checkedLength(frame: Buffer): number {
  const type = frame[0] ?? 0;
  const length = frame.readUInt16LE(2);
  if (type <= Receive.helloAck || type > Receive.switched || length > MAX_PAYLOAD) {
    throw new GuestError("protocol", `the guest sent a frame of type ${type}, length ${length}`);
  }
  return length;
}
