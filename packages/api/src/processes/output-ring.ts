export type OutputStream = "stdout" | "stderr";

export interface OutputPiece {
  type: OutputStream;
  offset: number;
  data: Buffer;
}

interface Segment {
  type: OutputStream;
  offset: number;
  end: number;
}

const FIRST_BYTES = 16 * 1024;
/** What one change between stdout and stderr costs, so that alternating single bytes take no more memory than text. */
const SEGMENT_COST_BYTES = 64;

/**
 * The newest output of one process, stdout and stderr in the order they came, under one count of bytes.
 * What is older than `capacity` bytes gives way.
 */
export class OutputRing {
  #bytes: Buffer;
  #segments: Segment[] = [];
  #head = 0;
  #start = 0;
  #end = 0;

  constructor(private capacity: number) {
    this.#bytes = Buffer.allocUnsafe(Math.min(capacity, FIRST_BYTES));
  }

  /** From now on so many more bytes are kept. */
  enlarge(bytes: number): void {
    this.capacity += bytes;
  }

  /** The first byte that can still be read. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** How much may be appended without losing a byte from `position` on. */
  roomAfter(position: number): number {
    const segments = this.#segments.length - this.#indexAt(position);
    if (segments * SEGMENT_COST_BYTES >= this.capacity - SEGMENT_COST_BYTES) return 0;
    return this.capacity - (this.#end - Math.max(position, this.#start));
  }

  append(type: OutputStream, data: Buffer): void {
    if (data.length === 0) return;
    // Only the last `capacity` bytes can stay; those before them count all the same.
    const kept = data.subarray(Math.max(0, data.length - this.capacity));
    const offset = this.#end;
    this.#end += data.length;
    const last = this.#segments.at(-1);
    if (last?.type === type && this.#segments.length > this.#head) last.end = this.#end;
    else this.#segments.push({ type, offset, end: this.#end });
    this.#grow(Math.min(this.#end - this.#start, this.capacity));
    this.#forgetBefore(this.#end - this.capacity);
    this.#copyIn(this.#end - kept.length, kept);
    while ((this.#segments.length - this.#head) * SEGMENT_COST_BYTES > this.capacity) {
      this.#forgetBefore(this.#segments[this.#head]?.end ?? this.#end);
    }
  }

  /** At most `maxBytes` of one stream from an offset on; undefined where nothing is there (yet, or any more). */
  read(offset: number, maxBytes: number): OutputPiece | undefined {
    if (offset < this.#start || offset >= this.#end) return undefined;
    const segment = this.#segments[this.#indexAt(offset)];
    if (!segment) return undefined;
    const length = Math.min(segment.end - offset, maxBytes);
    return { type: segment.type, offset, data: this.#copyOut(offset, length) };
  }

  /** Where the first segment is that ends after an offset. */
  #indexAt(offset: number): number {
    let low = this.#head;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#segments[middle]?.end ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #forgetBefore(offset: number): void {
    if (offset <= this.#start) return;
    this.#start = Math.min(offset, this.#end);
    while ((this.#segments[this.#head]?.end ?? Number.POSITIVE_INFINITY) <= this.#start)
      this.#head++;
    if (this.#head > 1024 && this.#head * 2 > this.#segments.length) {
      this.#segments = this.#segments.slice(this.#head);
      this.#head = 0;
    }
  }

  #grow(needed: number): void {
    const before = this.#bytes;
    if (needed <= before.length) return;
    let size = before.length;
    while (size < needed) size *= 2;
    const after = Buffer.allocUnsafe(Math.min(size, this.capacity));
    const until = Math.min(this.#end, this.#start + before.length);
    for (let at = this.#start; at < until; ) {
      const from = at % before.length;
      const to = at % after.length;
      const length = Math.min(until - at, before.length - from, after.length - to);
      before.copy(after, to, from, from + length);
      at += length;
    }
    this.#bytes = after;
  }

  #copyIn(offset: number, data: Buffer): void {
    const at = offset % this.#bytes.length;
    const first = data.copy(this.#bytes, at);
    data.copy(this.#bytes, 0, first);
  }

  #copyOut(offset: number, length: number): Buffer {
    const at = offset % this.#bytes.length;
    const data = Buffer.allocUnsafe(length);
    const first = this.#bytes.copy(data, 0, at, Math.min(at + length, this.#bytes.length));
    this.#bytes.copy(data, first, 0, length - first);
    return data;
  }
}
