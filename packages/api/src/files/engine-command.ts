import { setTimeout as delay } from "node:timers/promises";
import type { Engine, EngineExec } from "../engine/engine.js";
import { EngineError } from "../engine/engine.js";
import { GuestError } from "../guest/types.js";
import { SANDBOX_USER } from "../spaces/container-spec.js";
import { toGuestError } from "./engine-output.js";
import { FILES_SCRIPT } from "./engine-script.js";

const MAX_STDERR_BYTES = 4096;
/** The engine may tell the end of the output a moment before the end of the command. */
const EXIT_POLL_MS = 5;
const EXIT_TIMEOUT_MS = 10_000;

/** One run of the files script in a space. */
export class EngineCommand {
  #stderr = "";

  private constructor(private readonly exec: EngineExec) {}

  /** Starts an operation of the script. Throws `GuestError` "closed" where the space does not run. */
  static async start(
    engine: Engine,
    containerId: string,
    operation: string,
    args: string[],
  ): Promise<EngineCommand> {
    const spec = {
      argv: ["sh", "-c", FILES_SCRIPT, "sh", operation, ...args],
      env: {},
      cwd: "/",
      user: SANDBOX_USER,
      stdin: true,
    };
    try {
      return new EngineCommand(await engine.exec(containerId, spec));
    } catch (cause) {
      if (cause instanceof EngineError && cause.kind === "conflict") {
        throw new GuestError("closed", "The space is not running.", { cause });
      }
      throw cause;
    }
  }

  /** What it has said so far, cut at 4 KiB. */
  get stderr(): string {
    return this.#stderr;
  }

  get stdin() {
    return this.exec.stdin;
  }

  close(): void {
    this.exec.close();
  }

  /** What the script prints, at the reader's pace; throws what the script's exit means where it failed. */
  async *output(): AsyncGenerator<Buffer> {
    for await (const { stream, data } of this.exec.output) {
      if (stream === "stdout") yield data;
      else this.#stderr = (this.#stderr + data.toString("latin1")).slice(0, MAX_STDERR_BYTES);
    }
    const exitCode = await this.#exitCode();
    if (exitCode !== 0) throw toGuestError(exitCode, this.#stderr);
  }

  /** The whole output. Throws `GuestError` "limit" past `maxBytes`. */
  async collect(maxBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    let length = 0;
    try {
      for await (const piece of this.output()) {
        length += piece.length;
        if (length > maxBytes) {
          throw new GuestError("limit", `the answer is longer than ${maxBytes} bytes`);
        }
        pieces.push(piece);
      }
      return Buffer.concat(pieces);
    } finally {
      this.close();
    }
  }

  async #exitCode(): Promise<number> {
    const until = Date.now() + EXIT_TIMEOUT_MS;
    while (Date.now() < until) {
      const { running, exitCode } = await this.exec.inspect();
      if (!running && exitCode !== undefined) return exitCode;
      await delay(EXIT_POLL_MS);
    }
    throw new GuestError("timeout", "the engine does not tell how the command ended");
  }
}
