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
    const end = completeUtf8(bytes);
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

/** How many of the bytes are there before a character at the end that is not complete. */
export function completeUtf8(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const needed =
      byte >= 0xf0 && byte <= 0xf4
        ? 4
        : byte >= 0xe0 && byte < 0xf0
          ? 3
          : byte >= 0xc2 && byte < 0xe0
            ? 2
            : 1;
    return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
