import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { z } from "zod";

/** With nothing under way the file is emptied at this size. */
const MAX_BYTES = 256 * 1024;
/** With something under way all the time it is written anew at this size. */
const MAX_BUSY_BYTES = 4 * 1024 ** 2;

const StartedSchema = z.object({
  request: z.string(),
  /** The last event when it began. */
  after: z.number(),
  at: z.iso.datetime(),
  type: z.string(),
  space: z.string().optional(),
  actor: z.string().optional(),
  meta: z.record(z.string(), z.unknown()),
});

/** Something that was begun and will be an event of the log when it has ended. */
export type Started = z.infer<typeof StartedSchema>;

/**
 * What is under way, in a file that outlives the daemon's process: a daemon that was killed finds there what has no event
 * yet. It needs no sync, since only the machine's end loses what a process has written.
 */
export class PendingFile {
  readonly #open = new Map<string, string>();

  private constructor(
    private readonly fd: number,
    private size: number,
  ) {}

  /** Opens the file and tells what the process that had it before left under way; `clear` forgets that. */
  static open(path: string): { file: PendingFile; left: Started[] } {
    const fd = openSync(path, "a+", 0o600);
    const text = readFileSync(fd);
    return { file: new PendingFile(fd, text.length), left: readPending(text.toString("utf8")) };
  }

  /** Empties the file. */
  clear(): void {
    ftruncateSync(this.fd, 0);
    this.size = 0;
  }

  /** Throws what the file system throws, as on a full disk. */
  begin(started: Started): void {
    const line = `${JSON.stringify(started)}\n`;
    this.#write(line);
    this.#open.set(started.request, line);
  }

  /** @param request as in `begin`. */
  end(request: string): void {
    if (!this.#open.delete(request)) return;
    try {
      if (this.#open.size === 0 && this.size > MAX_BYTES) this.clear();
      else if (this.size > MAX_BUSY_BYTES) this.#rewrite();
      else this.#write(`${JSON.stringify({ ended: request })}\n`);
    } catch {
      // It stays in the file, and the log is asked at the next start whether its event is there.
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  #rewrite(): void {
    const lines = [...this.#open.values()].join("");
    this.clear();
    this.#write(lines);
  }

  #write(text: string): void {
    const before = this.size;
    const data = Buffer.from(text);
    try {
      if (writeSync(this.fd, data) < data.length) {
        throw Object.assign(new Error("there is no space left on the device"), { code: "ENOSPC" });
      }
      this.size += data.length;
    } catch (error) {
      ftruncateSync(this.fd, before);
      throw error;
    }
  }
}

function readPending(text: string): Started[] {
  const open = new Map<string, Started>();
  for (const line of text.split("\n")) {
    const value = parse(line);
    const ended = z.object({ ended: z.string() }).safeParse(value);
    const started = StartedSchema.safeParse(value);
    if (ended.success) open.delete(ended.data.ended);
    else if (started.success) open.set(started.data.request, started.data);
  }
  return [...open.values()];
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // The last line of a process that was killed while it wrote.
    return undefined;
  }
}
