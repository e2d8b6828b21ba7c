import {
  ClawdspaceError,
  DEFAULT_MAX_OUTPUT_BYTES,
  type ExecEvent,
  ExecEventSchema,
  type ExecRequest,
  type ExecResult,
} from "@clawdspace/protocol";
import { fromBase64, joined, toBase64, utf8 } from "./bytes.js";
import { type Connection, inBandError } from "./connection.js";

/** What a command's output comes as; a failure in between is thrown. */
export type CommandEvent = Exclude<ExecEvent, { type: "error" }>;
type ExitEvent = Extract<CommandEvent, { type: "exit" }>;

export interface ExecOptions extends Omit<ExecRequest, "command"> {
  /** Ends the command, with everything that it started. */
  signal?: AbortSignal;
}

/**
 * A command that runs: iterate it for its output as it comes, or `wait` for the result. It has been started already; its
 * output waits in the space, and the command with it, until it is read.
 */
export class Command implements AsyncIterable<CommandEvent> {
  readonly #events: AsyncGenerator<CommandEvent>;
  readonly #first: Promise<IteratorResult<CommandEvent>>;
  readonly #limit: number;
  readonly #encoding: "utf8" | "base64";
  #taken = false;
  readonly #kept = { stdout: new Kept(), stderr: new Kept() };
  readonly #done: Promise<ExitEvent>;
  #settle: { resolve(exit: ExitEvent): void; reject(error: unknown): void } | undefined;

  constructor(
    connection: Connection,
    path: string,
    command: ExecRequest["command"],
    { signal, ...options }: ExecOptions = {},
  ) {
    this.#limit = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
    this.#encoding = options.encoding ?? "utf8";
    this.#events = run(connection, path, { command, ...options }, signal);
    this.#first = this.#events.next();
    this.#first.catch(() => {});
    this.#done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#done.catch(() => {});
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CommandEvent> {
    if (this.#taken) throw new Error("the output of a command can be read once");
    this.#taken = true;
    try {
      let next = await this.#first;
      while (!next.done) {
        this.#note(next.value);
        yield next.value;
        next = await this.#events.next();
      }
    } catch (error) {
      this.#settle?.reject(error);
      throw error;
    } finally {
      this.#settle?.reject(
        new ClawdspaceError("cancelled", "The command's output was not read to its end."),
      );
      await this.#events.return(undefined);
    }
  }

  /**
   * The result when the command has ended. Of stdout and stderr the first 10 MiB each are kept (or `maxOutputBytes`), and
   * the rest is counted. Throws `ClawdspaceError` where it could not run; an exit code other than 0 is no error.
   */
  async wait(): Promise<ExecResult> {
    if (!this.#taken) for await (const _ of this);
    const { type: _, ...exit } = await this.#done;
    const { stdout, stderr } = this.#kept;
    return {
      stdout: stdout.text(this.#encoding),
      stderr: stderr.text(this.#encoding),
      ...(stdout.cutBytes > 0 ? { stdoutTruncatedBytes: stdout.cutBytes } : {}),
      ...(stderr.cutBytes > 0 ? { stderrTruncatedBytes: stderr.cutBytes } : {}),
      ...exit,
    };
  }

  #note(event: CommandEvent): void {
    if (event.type === "exit") this.#settle?.resolve(event);
    if (event.type === "stdout" || event.type === "stderr") {
      const bytes = this.#encoding === "base64" ? fromBase64(event.data) : utf8(event.data);
      this.#kept[event.type].add(bytes, this.#limit);
    }
  }
}

/** Output up to a limit in bytes; what exceeds it is counted. */
class Kept {
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;
  cutBytes = 0;

  add(bytes: Uint8Array<ArrayBuffer>, limit: number): void {
    const piece = bytes.subarray(0, Math.max(0, limit - this.#bytes));
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    this.cutBytes += bytes.length - piece.length;
  }

  text(encoding: "utf8" | "base64"): string {
    const bytes = joined(this.#pieces);
    return encoding === "base64" ? toBase64(bytes) : new TextDecoder().decode(bytes);
  }
}

async function* run(
  connection: Connection,
  path: string,
  request: ExecRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<CommandEvent> {
  const options = { json: request, signal };
  for await (const event of connection.lines(ExecEventSchema, "POST", `${path}/exec`, options)) {
    if (event.type === "error") throw inBandError(event);
    yield event;
    if (event.type === "exit") return;
  }
  throw new ClawdspaceError("unreachable", "The connection ended before the command did.");
}
