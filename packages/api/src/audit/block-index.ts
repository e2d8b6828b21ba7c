import type { AuditEvent } from "@clawdspace/protocol";

/** A block ends with the line that takes it past this size: what one look into the log reads, and one gzip member. */
export const BLOCK_BYTES = 32 * 1024;

const MAGIC = "CLAWIDX1";
const HEADER_BYTES = 64;
const RECORD_BYTES = 256;
const BLOOM_AT = 48;
const BLOOM_BITS = (RECORD_BYTES - BLOOM_AT) * 8;
const BLOOM_HASHES = 6;

export interface Block {
  /** Where it lies in the segment's file. */
  offset: number;
  length: number;
  firstId: number;
  lastId: number;
  /** Milliseconds since 1970. Clocks may go back, so a block's times are no order. */
  minTime: number;
  maxTime: number;
}

/** What a bloom filter is asked for. */
export type BlockKey = readonly [number, number];

export const spaceKey = (space: string): BlockKey => toKey(`s${space}`);
export const typeKey = (type: string): BlockKey => toKey(`t${type}`);
export const actorKey = (actor: string): BlockKey => toKey(`a${actor}`);

/**
 * Where the events of one segment lie, block by block: a fixed record of 256 bytes for each, with a bloom filter of the
 * spaces, types and actors in it. 32 KiB of log cost 256 bytes of index.
 */
export class BlockIndex {
  #records: Buffer = Buffer.alloc(0);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  block(at: number): Block {
    const view = this.#record(at);
    return {
      offset: view.readDoubleLE(0),
      length: view.readDoubleLE(8),
      firstId: view.readDoubleLE(16),
      lastId: view.readDoubleLE(24),
      minTime: view.readDoubleLE(32),
      maxTime: view.readDoubleLE(40),
    };
  }

  /** Whether a block can hold an event with all of these keys. It may be wrong only by saying yes. */
  mayHold(at: number, keys: readonly BlockKey[]): boolean {
    const record = this.#record(at);
    return keys.every((key) => {
      for (let n = 0; n < BLOOM_HASHES; n++) {
        const bit = bitOf(key, n);
        if (((record[BLOOM_AT + (bit >>> 3)] ?? 0) & (1 << (bit & 7))) === 0) return false;
      }
      return true;
    });
  }

  /** Adds the line that follows those known. @param bytes its length, newline included. */
  add(event: Pick<AuditEvent, "id" | "ts" | "space" | "type" | "actor">, bytes: number): void {
    const time = Date.parse(event.ts);
    const last = this.#count > 0 ? this.block(this.#count - 1) : undefined;
    const full = last === undefined || last.length >= BLOCK_BYTES;
    if (full) this.#grow();
    const block =
      last === undefined || full
        ? {
            offset: last ? last.offset + last.length : 0,
            length: 0,
            firstId: event.id,
            minTime: time,
            maxTime: time,
          }
        : last;
    this.#write(this.#count - 1, {
      ...block,
      length: block.length + bytes,
      lastId: event.id,
      minTime: Math.min(block.minTime, time),
      maxTime: Math.max(block.maxTime, time),
    });
    const record = this.#record(this.#count - 1);
    mark(record, typeKey(event.type));
    if (event.space !== undefined) mark(record, spaceKey(event.space));
    if (event.actor !== undefined) mark(record, actorKey(event.actor));
  }

  /** The same blocks at other places: those of a compressed copy. @param lengths one for each block. */
  moved(lengths: readonly number[]): BlockIndex {
    const index = new BlockIndex();
    index.#records = Buffer.from(this.#records.subarray(0, this.#count * RECORD_BYTES));
    index.#count = this.#count;
    let offset = 0;
    lengths.forEach((length, at) => {
      index.#write(at, { ...this.block(at), offset, length });
      offset += length;
    });
    return index;
  }

  /** What all blocks together span; undefined where there is none. */
  span(): Pick<Block, "firstId" | "lastId" | "minTime" | "maxTime"> | undefined {
    if (this.#count === 0) return undefined;
    let minTime = Number.POSITIVE_INFINITY;
    let maxTime = Number.NEGATIVE_INFINITY;
    for (let at = 0; at < this.#count; at++) {
      const block = this.block(at);
      minTime = Math.min(minTime, block.minTime);
      maxTime = Math.max(maxTime, block.maxTime);
    }
    const { firstId } = this.block(0);
    const { lastId } = this.block(this.#count - 1);
    return { firstId, lastId, minTime, maxTime };
  }

  /** Bytes of the segment that the blocks cover. */
  get dataBytes(): number {
    if (this.#count === 0) return 0;
    const last = this.block(this.#count - 1);
    return last.offset + last.length;
  }

  toBuffer(): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(MAGIC, "latin1");
    header.writeDoubleLE(this.#count, 8);
    header.writeDoubleLE(this.dataBytes, 16);
    return Buffer.concat([header, this.#records.subarray(0, this.#count * RECORD_BYTES)]);
  }

  /** @param dataBytes the size of the segment that it must belong to. undefined where it is no such index. */
  static fromBuffer(data: Buffer, dataBytes: number): BlockIndex | undefined {
    if (data.length < HEADER_BYTES || data.toString("latin1", 0, MAGIC.length) !== MAGIC)
      return undefined;
    const count = data.readDoubleLE(8);
    if (data.length !== HEADER_BYTES + count * RECORD_BYTES) return undefined;
    const index = new BlockIndex();
    index.#records = data.subarray(HEADER_BYTES);
    index.#count = count;
    return index.dataBytes === dataBytes ? index : undefined;
  }

  #record(at: number): Buffer {
    return this.#records.subarray(at * RECORD_BYTES, (at + 1) * RECORD_BYTES);
  }

  #write(at: number, block: Block): void {
    const record = this.#record(at);
    record.writeDoubleLE(block.offset, 0);
    record.writeDoubleLE(block.length, 8);
    record.writeDoubleLE(block.firstId, 16);
    record.writeDoubleLE(block.lastId, 24);
    record.writeDoubleLE(block.minTime, 32);
    record.writeDoubleLE(block.maxTime, 40);
  }

  #grow(): void {
    this.#count++;
    if (this.#count * RECORD_BYTES <= this.#records.length) return;
    const larger = Buffer.alloc(Math.max(16, this.#count * 2) * RECORD_BYTES);
    this.#records.copy(larger);
    this.#records = larger;
  }
}

function mark(record: Buffer, key: BlockKey): void {
  for (let n = 0; n < BLOOM_HASHES; n++) {
    const bit = bitOf(key, n);
    const byte = BLOOM_AT + (bit >>> 3);
    record[byte] = (record[byte] ?? 0) | (1 << (bit & 7));
  }
}

const bitOf = ([one, two]: BlockKey, n: number) => ((one + Math.imul(n, two)) >>> 0) % BLOOM_BITS;

/** Two hashes of a text (FNV-1a, and the same mixed further), from which a bloom filter's many are made. */
function toKey(text: string): BlockKey {
  let one = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) one = Math.imul(one ^ text.charCodeAt(at), 0x01000193);
  let two = one ^ (one >>> 16);
  two = Math.imul(two, 0x85ebca6b);
  two = Math.imul(two ^ (two >>> 13), 0xc2b2ae35);
  two ^= two >>> 16;
  return [one >>> 0, (two | 1) >>> 0];
}
