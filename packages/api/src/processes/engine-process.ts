import { setTimeout as delay } from "node:timers/promises";
import { EngineError, type EngineExec } from "../engine/engine.js";
import {
  GuestError,
  type GuestExit,
  type GuestOutput,
  type GuestProcessInfo,
  type GuestProcessSpec,
} from "../guest/types.js";
import { NOT_STARTED, toStartError } from "./engine-start-error.js";
import type { HostProcfs } from "./host-procfs.js";
import { OutputRing } from "./output-ring.js";
import type { ProcessRow } from "./process-tree.js";
import { Pulse } from "./pulse.js";

const DEFAULT_RING_BYTES = 1024 ** 2;
const MAX_RING_BYTES = 16 * 1024 ** 2;
const PIECE_BYTES = 32 * 1024;
const DEFAULT_LINGER_MS = 100;
/** Output that may be dropped waits all the same this long for a reader that is there but doesn't read. */
const STALL_MS = 60_000;
/** The engine drops what it still holds of a process's output two seconds after its end: the end must be seen before. */
const MAX_LOOK_MS = 500;
/** After its end a process's children are listened to for at most this long, however much they say. */
const MAX_LINGER_MS = 1000;
/** How long an engine may take from its answer to a start until it starts. */
const BEGIN_MS = 10_000;
/** How long an engine may be away until what ran under it is given up. */
const ENGINE_AWAY_MS = 60_000;

interface Reader {
  consumed: number;
}

/** A process that runs as an exec of the engine. What a guest agent would keep of it is kept here, in the daemon. */
export class EngineProcess {
  readonly startedAt = new Date();
  /** The process itself as the engine's machine sees it, where the daemon runs there. */
  leader: ProcessRow | undefined;
  pid = 0;
  readonly #ring: OutputRing;
  readonly #pulse = new Pulse();
  readonly #readers = new Set<Reader>();
  #acknowledged = 0;
  #heldSince: number | undefined;
  #stdin: { open: boolean; offset: number };
  #lastPieceAt = 0;
  #streamEnded = false;
  /** The process itself has ended, output of it may still come. */
  #over = false;
  #exit: GuestExit | undefined;
  #failure: Error | undefined;

  constructor(
    readonly id: string,
    private readonly spec: GuestProcessSpec,
    private readonly exec: EngineExec,
    private readonly host: HostProcfs | undefined,
  ) {
    this.#ring = new OutputRing(Math.min(spec.ringBytes ?? DEFAULT_RING_BYTES, MAX_RING_BYTES));
    this.#stdin = { open: spec.pty !== undefined || spec.stdin === true, offset: 0 };
    void this.#pump();
  }

  /** Resolves when the process runs, or has run. Throws `GuestError` where it could not be started. */
  async started(): Promise<void> {
    for (let pause = 2; ; pause = Math.min(pause * 2, 20)) {
      const state = await this.exec.inspect();
      const ended = !state.running && (state.exitCode !== undefined || this.#streamEnded);
      const late = Date.now() - this.startedAt.getTime() > BEGIN_MS;
      // The engine answers before it looks at what it is to start: neither running nor ended.
      if (!state.running && !ended && !late) {
        await delay(pause);
        continue;
      }
      if (!state.running && state.pid === 0 && NOT_STARTED.has(state.exitCode ?? 0)) {
        await this.#pulse.next({ timeoutMs: this.#streamEnded ? 0 : DEFAULT_LINGER_MS });
        this.exec.close();
        throw toStartError(this.#ring.read(this.#ring.start, 4096)?.data.toString() ?? "");
      }
      if (!state.running || state.pid > 0) {
        this.leader = state.pid > 0 ? this.host?.row(state.pid) : undefined;
        this.pid = (this.leader && this.host?.pidInside(this.leader.pid)) ?? 0;
        void this.#watch();
        return;
      }
      await delay(pause);
    }
  }

  info(): GuestProcessInfo {
    return {
      id: this.id,
      pid: this.pid,
      startedAt: this.startedAt,
      pty: this.spec.pty !== undefined,
      stdinOpen: this.#stdin.open && !this.over,
      onFull: this.spec.onFull,
      stdinOffset: this.#stdin.offset,
      outputStart: this.#ring.start,
      outputEnd: this.#ring.end,
      ...(this.#exit ? { exit: this.#exit } : {}),
      meta: this.spec.meta ?? Buffer.alloc(0),
    };
  }

  /** Whether nothing more will come of it. */
  get over(): boolean {
    return this.#exit !== undefined || this.#failure !== undefined;
  }

  /** Resolves when nothing more will come of it. */
  async ended(): Promise<void> {
    while (!this.over) await this.#pulse.next();
  }

  /** As `Guest.output`. */
  async *output(from: number, signal?: AbortSignal): AsyncGenerator<GuestOutput> {
    if (from > this.#ring.end)
      throw new GuestError("invalid", "The offset is past the end of the output.");
    const reader = { consumed: from };
    this.#readers.add(reader);
    this.#acknowledge();
    try {
      for (let at = from; ; reader.consumed = at, this.#acknowledge()) {
        if (signal?.aborted) throw new GuestError("aborted", "Reading the output was cancelled.");
        const piece = this.#ring.read(at, PIECE_BYTES);
        if (at < this.#ring.start) {
          const bytes = this.#ring.start - at;
          const offset = at;
          at = this.#ring.start;
          yield { type: "dropped", offset, bytes };
        } else if (piece) {
          at += piece.data.length;
          yield piece;
        } else if (this.#exit) {
          yield { type: "exit", offset: this.#ring.end, ...this.#exit };
          return;
        } else if (this.#failure) {
          throw this.#failure;
        } else {
          await this.#pulse.next({ signal });
        }
      }
    } finally {
      this.#readers.delete(reader);
      this.#acknowledge();
    }
  }

  /** As `Guest.retain`. */
  retain(from: number): () => void {
    const reader = { consumed: Math.min(from, this.#ring.end) };
    this.#readers.add(reader);
    this.#acknowledge();
    return () => {
      this.#readers.delete(reader);
      this.#acknowledge();
    };
  }

  /** As `Guest.writeStdin`; what the engine has taken over counts as taken. */
  async write(data: Buffer): Promise<void> {
    if (!this.#stdin.open || this.over) throw closedInput();
    const written = new Promise<boolean>((resolve) => {
      this.exec.stdin.write(data, (error) => resolve(!error));
    });
    let done: boolean | undefined;
    void written.then((ok) => {
      done = ok;
      this.#pulse.beat();
    });
    while (done === undefined && !this.over) await this.#pulse.next();
    if (!done) throw closedInput();
    this.#stdin.offset += data.length;
  }

  closeStdin(): void {
    if (!this.#stdin.open || this.over) return;
    if (this.spec.pty) {
      this.exec.stdin.write(END_OF_FILE);
      return;
    }
    this.#stdin.open = false;
    this.exec.stdin.end();
  }

  async resize(cols: number, rows: number): Promise<void> {
    if (!this.spec.pty) throw new GuestError("unsupported", "The process has no terminal.");
    if (this.over) throw new GuestError("closed", "The process has ended.");
    await this.exec.resize(cols, rows);
  }

  /** Lets go of the connection; what nobody has read by then is lost. */
  abandon(): void {
    this.exec.close();
    this.#fail(new GuestError("closed", "The daemon has let go of the process."));
  }

  async #pump(): Promise<void> {
    try {
      for await (const { stream, data } of this.exec.output) {
        this.#lastPieceAt = Date.now();
        await this.#take(stream, data);
      }
    } catch {
      // A connection that broke off ends like any other; the engine then says what became of the process.
    }
    this.#streamEnded = true;
    this.#pulse.beat();
  }

  async #take(stream: "stdout" | "stderr", data: Buffer): Promise<void> {
    for (let rest = data; rest.length > 0 && !this.over; ) {
      const room = this.#ring.roomAfter(this.#floor());
      if (room > 0) {
        this.#heldSince = undefined;
        this.#ring.append(stream, rest.subarray(0, room));
        rest = rest.subarray(room);
        this.#pulse.beat();
      } else if (this.#over) {
        // The engine waits for nobody any more: what is left, less than the pipes hold, is taken at once.
        this.#ring.enlarge(rest.length + PIECE_BYTES);
      } else {
        this.#heldSince ??= Date.now();
        await this.#pulse.next({ timeoutMs: STALL_MS });
      }
    }
  }

  /** The first byte that must not be lost. */
  #floor(): number {
    if (this.spec.onFull === "block") return this.#acknowledged;
    if (this.spec.onFull === "drop") return this.#ring.end;
    const stalled = this.#heldSince !== undefined && Date.now() - this.#heldSince >= STALL_MS;
    return this.#readers.size > 0 && !stalled ? this.#acknowledged : this.#ring.end;
  }

  /** What every reader has taken may give way. */
  #acknowledge(): void {
    if (this.#readers.size === 0) return;
    const acknowledged = Math.min(...[...this.#readers].map(({ consumed }) => consumed));
    if (acknowledged === this.#acknowledged) return;
    this.#acknowledged = acknowledged;
    this.#pulse.beat();
  }

  /** Waits for the process's end, which need not be that of its output: a child may hold that open, or it closed it itself. */
  async #watch(): Promise<void> {
    try {
      const exitCode = await this.#exitCode();
      this.#over = true;
      this.#pulse.beat();
      await this.#linger();
      // The engine tells no times, and of a signal only the code that a shell would give.
      this.#exit = { exitCode, userCpuMs: 0, systemCpuMs: 0, maxRssBytes: 0 };
      this.#pulse.beat();
    } catch (cause) {
      this.#fail(
        new GuestError("closed", "The engine no longer knows the process: its space stopped.", {
          cause,
        }),
      );
    }
    this.exec.close();
  }

  async #exitCode(): Promise<number> {
    let pause = 20;
    let ended = false;
    let away: number | undefined;
    for (;;) {
      await this.#pulse.next({ timeoutMs: pause });
      pause = Math.min(pause * 2, MAX_LOOK_MS);
      if (this.#streamEnded && !ended) {
        ended = true;
        pause = 1;
      }
      if (this.#seenAlive()) continue;
      try {
        const state = await this.exec.inspect();
        away = undefined;
        if (!state.running) return state.exitCode ?? 0;
      } catch (error) {
        away ??= Date.now();
        const gone = !(error instanceof EngineError) || error.kind !== "unavailable";
        if (gone || Date.now() - away > ENGINE_AWAY_MS) throw error;
      }
    }
  }

  #seenAlive(): boolean {
    const row = this.leader && this.host?.row(this.leader.pid);
    return row?.startTicks === this.leader?.startTicks && row !== undefined && row.state !== "Z";
  }

  async #linger(): Promise<void> {
    const since = Date.now();
    const lingerMs = this.spec.lingerMs ?? DEFAULT_LINGER_MS;
    for (;;) {
      const quietMs = Date.now() - Math.max(this.#lastPieceAt, since);
      const left = Math.min(lingerMs - quietMs, since + MAX_LINGER_MS - Date.now());
      if (this.#streamEnded || left <= 0) return;
      await this.#pulse.next({ timeoutMs: left });
    }
  }

  #fail(error: Error): void {
    if (this.over) return;
    this.#failure = error;
    this.#pulse.beat();
  }
}

const END_OF_FILE = Buffer.from([4]);

const closedInput = () => new GuestError("closed", "The process no longer reads its stdin.");
