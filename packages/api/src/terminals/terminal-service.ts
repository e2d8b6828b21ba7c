import { createHash, randomBytes } from "node:crypto";
import { ClawdspaceError, type TerminalQuery, type TerminalSession } from "@clawdspace/protocol";
import { GuestError, type GuestProcessInfo } from "../guest/types.js";
import { hangUp } from "../processes/hang-up.js";
import type { ProcessHost } from "../processes/process-host.js";
import type { ProcessHosts } from "../processes/process-hosts.js";
import { encodeMeta } from "../processes/process-meta.js";
import type { ProcessService } from "../processes/process-service.js";
import { startFailure } from "../processes/start-failure.js";
import { KeyedLock } from "../spaces/keyed-lock.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { SpaceService } from "../spaces/space-service.js";
import { type TerminalOutput, toTerminalOutput } from "./terminal-output.js";

const DEFAULT_SIZE = { cols: 80, rows: 24 };
const REPLAY_BYTES = 256 * 1024;
const TERM = "xterm-256color";
const LOGIN_SHELLS = [
  ["bash", "-l"],
  ["sh", "-l"],
];

/** One connection to a terminal. Its space stays awake until it is closed, but for the owner's own pause. */
export interface Terminal {
  /** What is to be shown, at the reader's pace, then how it ended. */
  output: AsyncIterable<TerminalOutput>;
  /** Wakes the space where it was paused meanwhile. Throws `GuestError` "closed" where the terminal has ended. */
  write(data: Buffer): Promise<void>;
  resize(cols: number, rows: number): Promise<void>;
  /** Lets go of it. A terminal without a session is hung up. */
  close(): void;
}

/** Terminals in spaces: shells that end with their connection, and sessions that outlive it. */
export class TerminalService {
  readonly #viewers = new Map<string, number>();
  readonly #lock = new KeyedLock();

  constructor(
    private readonly spaces: SpaceService,
    private readonly hosts: ProcessHosts,
    private readonly processes: ProcessService,
  ) {}

  /** Opens a terminal, or attaches to a session, which is made where there is none. Throws `not_found` for the space. */
  async open(name: string, query: TerminalQuery): Promise<Terminal> {
    const { entry, release } = await this.spaces.acquire(name);
    try {
      const host = await this.hosts.of(entry);
      const { session } = query;
      if (session === undefined) return await this.#openPlain(entry, host, query, release);
      return await this.#openSession(entry, host, { ...query, session }, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The sessions of a space. One that sleeps is not woken. */
  async list(name: string): Promise<TerminalSession[]> {
    const entry = await this.spaces.find(name);
    return (await this.processes.list(name)).flatMap((process) => {
      if (!process.managed || process.session === undefined) return [];
      if (process.status === "exited") return [];
      const { session, id, pid, command, startedAt } = process;
      const viewers = this.#viewers.get(keyOf(entry, id)) ?? 0;
      return [{ session, processId: id, pid, command, startedAt, viewers }];
    });
  }

  /** Hangs up a session. Throws `not_found`. */
  async end(name: string, session: string): Promise<void> {
    await this.spaces.use(name, async (entry) => {
      const host = await this.hosts.of(entry);
      const known = await infoOf(host, idOf(session));
      if (!known || known.exit) {
        throw new ClawdspaceError(
          "not_found",
          `There is no terminal session "${session}" in space "${name}".`,
        );
      }
      await hangUp(entry, host, known.id);
    });
  }

  async #openPlain(
    entry: SpaceEntry,
    host: ProcessHost,
    query: TerminalQuery,
    release: () => void,
  ): Promise<Terminal> {
    const id = randomBytes(16).toString("hex");
    await this.#start(entry, host, id, query);
    const reading = new AbortController();
    const output = host.output(id, 0, reading.signal);
    return {
      ...this.#input(entry, host, id),
      output: toTerminalOutput(output, { from: 0, attachedAt: 0 }),
      close: once(() => {
        reading.abort();
        void hangUp(entry, host, id)
          .catch(() => {})
          .finally(release);
      }),
    };
  }

  async #openSession(
    entry: SpaceEntry,
    host: ProcessHost,
    query: TerminalQuery & { session: string },
    release: () => void,
  ): Promise<Terminal> {
    const id = idOf(query.session);
    const key = keyOf(entry, id);
    const { outputStart, outputEnd } = await this.#lock.run(key, async () => {
      const known = await infoOf(host, id);
      const { cols, rows } = query;
      if (known && !known.exit) {
        if (cols !== undefined && rows !== undefined) await host.resize(id, cols, rows);
        return known;
      }
      if (known) await host.forget(id);
      await this.#start(entry, host, id, query);
      return { outputStart: 0, outputEnd: 0 };
    });
    this.#viewers.set(key, (this.#viewers.get(key) ?? 0) + 1);
    const reading = new AbortController();
    const from = Math.max(outputStart, outputEnd - REPLAY_BYTES);
    const output = host.output(id, from, reading.signal);
    return {
      ...this.#input(entry, host, id),
      output: toTerminalOutput(output, { from, attachedAt: outputEnd }),
      close: once(() => {
        reading.abort();
        const left = (this.#viewers.get(key) ?? 1) - 1;
        if (left > 0) this.#viewers.set(key, left);
        else this.#viewers.delete(key);
        release();
      }),
    };
  }

  async #start(
    entry: SpaceEntry,
    host: ProcessHost,
    id: string,
    { session, command, cols, rows }: TerminalQuery,
  ): Promise<void> {
    const shells = command === undefined ? LOGIN_SHELLS : [["/bin/sh", "-c", command]];
    const pty = { cols: cols ?? DEFAULT_SIZE.cols, rows: rows ?? DEFAULT_SIZE.rows };
    for (const [index, shell] of shells.entries()) {
      const { argv, env, cwd } = await this.hosts.spec(entry, { command: shell });
      const meta = encodeMeta({
        kind: session === undefined ? "terminal" : "session",
        command: command ?? shell,
        cwd,
        user: "sandbox",
        ...(session === undefined ? {} : { session }),
      });
      // A session's program goes on when nobody looks; one that ends with its connection has nobody else to wait for.
      const onFull = session === undefined ? "block" : "follow";
      try {
        await host.start({ id, argv, env: { ...env, TERM }, cwd, pty, onFull, meta });
        return;
      } catch (error) {
        const missing = error instanceof GuestError && error.details.step === "exec";
        if (missing && index < shells.length - 1) continue;
        const failure = startFailure(error, { command: shell });
        throw failure ? new ClawdspaceError("unprocessable", failure.message) : error;
      }
    }
  }

  #input(entry: SpaceEntry, host: ProcessHost, id: string): Pick<Terminal, "write" | "resize"> {
    return {
      write: async (data) => {
        if (entry.state !== "running") await this.spaces.use(entry.name, async () => {});
        entry.touch();
        await host.writeStdin(id, data);
      },
      resize: (cols, rows) => host.resize(id, cols, rows),
    };
  }
}

/** Made of the name, so that two who open a session at once get the same, also over restarts of the daemon. */
const idOf = (session: string) =>
  createHash("sha256").update(`session:${session}`).digest("hex").slice(0, 32);

const keyOf = (entry: SpaceEntry, id: string) => `${entry.id}:${id}`;

async function infoOf(host: ProcessHost, id: string): Promise<GuestProcessInfo | undefined> {
  return (await host.list()).find((info) => info.id === id);
}

function once(task: () => void): () => void {
  let done = false;
  return () => {
    if (!done) task();
    done = true;
  };
}
