import { closeSync, createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { createGunzip } from "node:zlib";
import type { AuditFault, AuditVerdict } from "@clawdspace/protocol";
import { decodeLine, GENESIS, lineHash, readLink } from "./audit-line.js";
import { splitLines } from "./index-lines.js";

const MAX_FAULTS = 100;
const CHUNK_BYTES = 256 * 1024;
const READ = { highWaterMark: CHUNK_BYTES };

/** The log's end as it was known to somebody at some time. */
export interface AuditHead {
  id: number;
  hash: string;
}

/** One file of a log. */
export interface AuditSource {
  path: string;
  compressed: boolean;
  /** Bytes to read; all of them where undefined. */
  bytes?: number;
  /** It is open already, to be closed by who reads it. */
  fd?: number;
}

interface Known {
  id: number;
  hash: string;
  file: string;
  line: number;
}

/**
 * Follows the chain of a log from its first line to its last.
 * @param sources its files, oldest first.
 * @param head where the log must reach at least; what it holds of that event must have this hash.
 */
export async function verify(
  sources: readonly AuditSource[],
  head: AuditHead | undefined,
): Promise<AuditVerdict> {
  const chain = new Chain(head);
  for (const source of sources) {
    const file = basename(source.path);
    let line = 0;
    try {
      for await (const bytes of linesOf(source)) chain.next(bytes, file, ++line);
    } catch (error) {
      chain.unreadable(file, error instanceof Error ? error.message : String(error));
    }
  }
  return chain.end();
}

/** Lines of a file; text behind the last newline is a line too. */
async function* linesOf(source: AuditSource): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunksOf(source)) {
    const whole = Buffer.concat([rest, chunk]);
    rest = whole.subarray(yield* splitLines(whole));
  }
  if (rest.length > 0) yield rest;
}

async function* chunksOf({ path, compressed, bytes, fd }: AuditSource): AsyncGenerator<Buffer> {
  if (fd !== undefined) {
    if (bytes === 0) closeSync(fd);
    else
      yield* createReadStream(path, {
        fd,
        start: 0,
        ...READ,
        ...(bytes ? { end: bytes - 1 } : {}),
      });
    return;
  }
  const plain = compressed ? undefined : await openIfThere(path);
  if (plain) {
    yield* plain.createReadStream(READ);
    return;
  }
  // A full segment may have been compressed since its file was named.
  const packed = await open(compressed ? path : `${path}.gz`, "r");
  const raw = packed.createReadStream(READ);
  const lines = createGunzip({ chunkSize: CHUNK_BYTES });
  raw.on("error", (error) => lines.destroy(error));
  try {
    yield* raw.pipe(lines);
  } finally {
    raw.destroy();
  }
}

async function openIfThere(path: string) {
  return await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

class Chain {
  readonly #faults: AuditFault[] = [];
  #faultCount = 0;
  #events = 0;
  #first: { id: number; prev: string; file: string } | undefined;
  #last: Known | undefined;
  /** A line that the one after it doesn't fit: which of the two was changed shows with the line after those. */
  #suspect: Known | undefined;
  /** What the log says of events that it has let go of: the last id of each stretch, and its line's hash. */
  readonly #pruned = new Map<number, string>([[0, GENESIS]]);
  /** The line before could not be read, so nothing is known of what the next one must hold. */
  #broken = false;

  constructor(private readonly head: AuditHead | undefined) {}

  next(line: Buffer, file: string, number: number): void {
    const link = readLink(line);
    if (!link) {
      this.#settle(true);
      const id = (this.#last?.id ?? 0) + 1;
      this.#fault({
        kind: "unreadable",
        id,
        file,
        line: number,
        message: `Line ${number} of ${file} is no event.`,
      });
      this.#broken = true;
      return;
    }
    this.#events++;
    const known: Known = { id: link.id, hash: lineHash(line), file, line: number };
    if (line.includes('"type":"audit.prune"')) this.#readPrune(line);
    if (this.#last) this.#compare(this.#last, link, known);
    else this.#first = { ...link, file };
    if (this.head?.id === known.id && this.head.hash !== known.hash) this.#changed(known);
    this.#last = known;
    this.#broken = false;
  }

  unreadable(file: string, reason: string): void {
    this.#settle(true);
    const id = (this.#last?.id ?? 0) + 1;
    this.#fault({
      kind: "unreadable",
      id,
      file,
      message: `${file} can't be read further: ${reason}`,
    });
    this.#broken = true;
  }

  end(): AuditVerdict {
    const last = this.#last;
    // A last line that is known to be changed is why the one before doesn't fit.
    if (this.head?.id === last?.id && this.head?.hash !== last?.hash) this.#suspect = undefined;
    this.#settle(true);
    this.#checkStart();
    const lastId = last?.id ?? 0;
    if (this.head && this.head.id > lastId)
      this.#missing(lastId + 1, this.head.id, last?.file ?? "");
    const ids = this.#faults.map((fault) => fault.id);
    return {
      ok: this.#faultCount === 0,
      events: this.#events,
      ...(this.#first ? { firstId: this.#first.id } : {}),
      ...(last ? { lastId } : {}),
      ...(ids.length > 0 ? { firstBadId: Math.min(...ids) } : {}),
      faults: this.#faults.sort((a, b) => a.id - b.id),
    };
  }

  #compare(before: Known, link: { id: number; prev: string }, known: Known): void {
    const fits = link.prev === before.hash;
    if (link.id !== before.id + 1 && !this.#broken) {
      this.#settle(fits);
      if (link.id > before.id + 1) this.#missing(before.id + 1, link.id - 1, known.file);
      else this.#changed(known);
      return;
    }
    if (this.#broken) return;
    this.#settle(fits);
    if (!fits) this.#suspect = before;
  }

  /** @param next whether the line behind the two that don't fit agrees with the second of them. */
  #settle(next: boolean): void {
    const suspect = this.#suspect;
    this.#suspect = undefined;
    if (suspect) this.#changed(suspect, next ? undefined : suspect.id + 1);
  }

  #changed(known: Known, lastId?: number): void {
    if (this.#faults.some((fault) => fault.kind === "changed" && fault.id === known.id)) return;
    const { id, file, line } = known;
    const which =
      lastId === undefined ? `Event ${id} was changed` : `Event ${id} or ${lastId} was changed`;
    this.#fault({
      kind: "changed",
      id,
      ...(lastId === undefined ? {} : { lastId }),
      file,
      line,
      message: `${which} (line ${line} of ${file}).`,
    });
  }

  #missing(id: number, lastId: number, file: string): void {
    const which = id === lastId ? `Event ${id} is` : `Events ${id} to ${lastId} are`;
    this.#fault({
      kind: "missing",
      id,
      ...(id === lastId ? {} : { lastId }),
      file,
      message: `${which} missing.`,
    });
  }

  #readPrune(line: Buffer): void {
    const { lastId, hash } = decodeLine(line.toString("utf8"))?.meta ?? {};
    if (typeof lastId === "number" && typeof hash === "string") this.#pruned.set(lastId, hash);
  }

  /** A log begins with its first event, or where it says itself that what came before was let go of. */
  #checkStart(): void {
    const first = this.#first;
    if (!first) return;
    const before = this.#pruned.get(first.id - 1);
    if (before === undefined) {
      const gone = [...this.#pruned.keys()].filter((id) => id < first.id);
      this.#missing(Math.max(...gone) + 1, first.id - 1, first.file);
    } else if (before !== first.prev) {
      this.#changed({ id: first.id, hash: "", file: first.file, line: 1 });
    }
  }

  #fault(fault: AuditFault): void {
    this.#faultCount++;
    if (this.#faults.length < MAX_FAULTS) this.#faults.push(fault);
  }
}
