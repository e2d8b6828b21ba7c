import { GuestError, type GuestPath } from "./types.js";

/** Builds a payload: little-endian numbers, and byte strings with a u32 length before them. */
export class PayloadWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  #room(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  u64(value: number | bigint): this {
    const at = this.#room(8);
    this.#buffer.writeBigUInt64LE(BigInt(value), at);
    return this;
  }

  raw(data: Buffer): this {
    const at = this.#room(data.length);
    data.copy(this.#buffer, at);
    return this;
  }

  bytes(data: GuestPath): this {
    if (typeof data !== "string") return this.u32(data.length).raw(data);
    const length = Buffer.byteLength(data);
    this.u32(length);
    const at = this.#room(length);
    this.#buffer.write(data, at);
    return this;
  }

  /** The payload; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** Decodes the answer to what gives nothing back. */
export function nothing(_answer: Buffer): void {}

/** Reads what the guest sent. Whatever doesn't fit throws "protocol". */
export class PayloadReader {
  readonly #payload: Buffer;
  #at = 0;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  get done(): boolean {
    return this.#at >= this.#payload.length;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (this.#payload.length - at < bytes) {
      throw new GuestError("protocol", "the guest sent a payload that is too short");
    }
    this.#at += bytes;
    return at;
  }

  u8(): number {
    return this.#payload.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#payload.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#payload.readUInt32LE(this.#take(4));
  }

  u64(): bigint {
    return this.#payload.readBigUInt64LE(this.#take(8));
  }

  i64(): bigint {
    return this.#payload.readBigInt64LE(this.#take(8));
  }

  /** A u64 that a number holds exactly. */
  size(): number {
    const at = this.#take(8);
    const high = this.#payload.readUInt32LE(at + 4);
    if (high >= 0x20_0000) throw new GuestError("protocol", "the guest sent an impossible number");
    return high * 0x1_0000_0000 + this.#payload.readUInt32LE(at);
  }

  /** A view, not a copy. */
  raw(length: number): Buffer {
    const at = this.#take(length);
    return this.#payload.subarray(at, at + length);
  }

  bytes(maxLength: number): Buffer {
    const length = this.u32();
    if (length > maxLength) throw new GuestError("protocol", "the guest sent too long a string");
    return this.raw(length);
  }

  rest(): Buffer {
    return this.raw(this.#payload.length - this.#at);
  }
}
