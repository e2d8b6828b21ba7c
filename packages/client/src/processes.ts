import {
  ClawdspaceError,
  type ManagedProcess,
  MessageSchema,
  ProcessAnswerSchema,
  type ProcessList,
  ProcessListSchema,
  type ProcessOutputEvent,
  ProcessOutputEventSchema,
  type StartProcessRequest,
} from "@clawdspace/protocol";
import { fromBase64, utf8 } from "./bytes.js";
import { type Connection, inBandError } from "./connection.js";
import { type FollowOptions, mayPass, pauseBefore } from "./sse.js";

/** What a process's output comes as; a failure in between is thrown, and "more" is asked for by itself. */
export type ProcessEvent = Exclude<ProcessOutputEvent, { type: "error" | "more" }>;

export interface OutputOptions extends FollowOptions {
  /** The first byte wanted (default 0). */
  from?: number;
  /** Goes on with what comes until the process has ended (default true). */
  follow?: boolean;
  encoding?: "utf8" | "base64";
}

/** The bytes of a piece of output. */
export function outputBytes(event: { data: string; encoding?: "base64" | undefined }): Uint8Array {
  return event.encoding === "base64" ? fromBase64(event.data) : utf8(event.data);
}

/** The background processes of one space. */
export class Processes {
  readonly #path: string;

  constructor(
    private readonly connection: Connection,
    space: string,
  ) {
    this.#path = `${space}/processes`;
  }

  async start(
    command: StartProcessRequest["command"],
    options: Omit<StartProcessRequest, "command"> = {},
  ): Promise<ManagedProcess> {
    const json = { command, ...options };
    const answer = await this.connection.json(ProcessAnswerSchema, "POST", this.#path, { json });
    return answer.process;
  }

  /** Those that were started through the API, and, without a tag, those that something in the space started. */
  async list(options: { tag?: string } = {}): Promise<ProcessList["processes"]> {
    const query = { tag: options.tag };
    return (await this.connection.json(ProcessListSchema, "GET", this.#path, { query })).processes;
  }

  async get(id: string): Promise<ManagedProcess> {
    return (await this.connection.json(ProcessAnswerSchema, "GET", this.#at(id))).process;
  }

  /** Waits until it has ended, or `timeoutMs` long: then the answer's status is "running". Survives lost connections. */
  async wait(
    id: string,
    { timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<ManagedProcess> {
    const until = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      const left = until === undefined ? undefined : Math.max(0, until - Date.now());
      const json = left === undefined ? {} : { timeoutMs: left };
      const options = { json, signal, timeoutMs: null };
      try {
        const path = `${this.#at(id)}/wait`;
        return (await this.connection.json(ProcessAnswerSchema, "POST", path, options)).process;
      } catch (error) {
        if (!mayPass(error) || (left !== undefined && left <= 0)) throw error;
        await pauseBefore(attempt, signal);
      }
    }
  }

  /**
   * The output, from any byte on. A lost connection, also to a daemon that is started again, is made anew and goes on
   * where it was: no byte comes twice and none is left out, but for what the space no longer keeps ("dropped").
   */
  async *output(
    id: string,
    { from = 0, follow = true, encoding = "utf8", signal, onState }: OutputOptions = {},
  ): AsyncGenerator<ProcessEvent> {
    let next = from;
    let failures = 0;
    for (;;) {
      const asked = next;
      const options = { query: { from: asked, follow, encoding }, signal };
      const path = `${this.#at(id)}/output`;
      const lines = this.connection.lines(ProcessOutputEventSchema, "GET", path, options);
      let more = false;
      try {
        for await (const event of lines) {
          if (failures > 0) onState?.("open");
          failures = 0;
          if (event.type === "error") throw inBandError(event);
          if (event.type === "more") {
            next = event.offset;
            more = true;
            break;
          }
          if (event.type === "stdout" || event.type === "stderr") {
            next = event.offset + outputBytes(event).length;
          } else if (event.type === "dropped") next = event.offset + event.bytes;
          yield event;
          if (event.type === "exit") return;
        }
        // Without new bytes there is no more by now, and asking again at once would go on until the process ends.
        if (more && (follow || next > asked)) continue;
        if (!follow) return;
        throw new ClawdspaceError("unreachable", "The connection ended before the process did.");
      } catch (error) {
        if (!mayPass(error)) throw error;
        onState?.("reconnecting");
        await pauseBefore(failures, signal);
        failures += 1;
      }
    }
  }

  async stdin(id: string, data: string | Uint8Array): Promise<void> {
    const body = typeof data === "string" ? utf8(data) : data;
    const headers = { "content-type": "application/octet-stream" };
    const options = { body, headers, timeoutMs: null };
    await this.connection.json(MessageSchema, "POST", `${this.#at(id)}/stdin`, options);
  }

  async closeStdin(id: string): Promise<void> {
    await this.connection.json(MessageSchema, "POST", `${this.#at(id)}/stdin/close`);
  }

  async resize(id: string, cols: number, rows: number): Promise<void> {
    const json = { cols, rows };
    await this.connection.json(MessageSchema, "POST", `${this.#at(id)}/resize`, { json });
  }

  /** @param scope its process group (default), or "all" that it started */
  async signal(id: string, signal: string, scope?: "group" | "all"): Promise<void> {
    const json = { signal, ...(scope ? { scope } : {}) };
    await this.connection.json(MessageSchema, "POST", `${this.#at(id)}/signal`, { json });
  }

  /** Ends it where it runs, and forgets it. */
  async remove(id: string): Promise<void> {
    await this.connection.json(MessageSchema, "DELETE", this.#at(id));
  }

  readonly #at = (id: string) => `${this.#path}/${encodeURIComponent(id)}`;
}
