import { unfinishedBytes } from "./utf8.js";

/** Puts the bytes of one stream into the strings of an answer: as base64, or as text that is never split inside a character. */
export class Pieces {
  #waiting: Buffer = Buffer.alloc(0);
  #offset = 0;

  constructor(private readonly encoding: "utf8" | "base64") {}

  /** @param offset of the first of these bytes. Returns what is complete now, with the offset of its own first byte. */
  add(offset: number, data: Buffer): { offset: number; data: string } | undefined {
    if (this.encoding === "base64") return piece(offset, data.toString("base64"));
    if (this.#waiting.length === 0) this.#offset = offset;
    const bytes = this.#waiting.length === 0 ? data : Buffer.concat([this.#waiting, data]);
    const end = bytes.length - unfinishedBytes(bytes);
    const complete = piece(this.#offset, bytes.toString("utf8", 0, end));
    this.#waiting = Buffer.from(bytes.subarray(end));
    this.#offset = offset + data.length - this.#waiting.length;
    return complete;
  }

  /** What waited for the rest of a character that never came. */
  end(): { offset: number; data: string } | undefined {
    return piece(this.#offset, this.#waiting.toString("utf8"));
  }
}

const piece = (offset: number, data: string) => (data === "" ? undefined : { offset, data });
