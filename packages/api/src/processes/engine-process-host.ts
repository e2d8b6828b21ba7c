import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";
import { type Engine, EngineError } from "../engine/engine.js";
import {
  GuestError,
  type GuestOutput,
  type GuestProcessInfo,
  type GuestProcessSpec,
  type GuestRun,
  type GuestTableEntry,
} from "../guest/types.js";
import { EngineProcess } from "./engine-process.js";
import { EngineSignals } from "./engine-signals.js";
import { toStartError } from "./engine-start-error.js";
import type { ProcessHost } from "./process-host.js";
import { daemonVariable } from "./process-meta.js";

const MAX_FINISHED = 256;
const UIDS = { sandbox: "1001:1001", root: "0:0" } as const;

/**
 * Processes as execs of the engine: for images where the guest agent can't run, and for the user root. They end when
 * their space stops, and what they print is kept by the daemon alone, so that their output ends with it.
 */
export class EngineProcessHost implements ProcessHost {
  readonly #processes = new Map<string, EngineProcess>();
  readonly #starting = new Map<string, Promise<EngineProcess>>();
  readonly #forgotten = new Set<string>();
  readonly #signals: EngineSignals;

  constructor(
    private readonly engine: Engine,
    private readonly containerId: string,
    private readonly user: "sandbox" | "root",
  ) {
    this.#signals = new EngineSignals(engine, containerId, UIDS[user]);
  }

  async start(spec: GuestProcessSpec): Promise<{ id: string; pid: number }> {
    const id = spec.id ?? randomBytes(16).toString("hex");
    const { pid } = await this.#launch(id, spec);
    return { id, pid };
  }

  run(spec: GuestProcessSpec, signal?: AbortSignal): GuestRun {
    const id = spec.id ?? randomBytes(16).toString("hex");
    const launched = this.#launch(id, spec);
    const started = launched.then(({ pid }) => ({ id, pid }));
    // Whoever reads the output alone learns of a failed start from that.
    started.catch(() => {});
    return {
      id,
      started,
      output: (async function* () {
        yield* (await launched).output(0, signal);
      })(),
    };
  }

  async list(): Promise<GuestProcessInfo[]> {
    return [...this.#processes.values()].map((each) => each.info());
  }

  async *output(id: string, fromOffset: number, signal?: AbortSignal): AsyncGenerator<GuestOutput> {
    yield* this.#named(id).output(fromOffset, signal);
  }

  retain(id: string, fromOffset: number): () => void {
    return this.#named(id).retain(fromOffset);
  }

  async writeStdin(id: string, data: Buffer): Promise<void> {
    await this.#named(id).write(data);
  }

  async closeStdin(id: string): Promise<void> {
    this.#named(id).closeStdin();
  }

  async resize(id: string, cols: number, rows: number): Promise<void> {
    await this.#named(id).resize(cols, rows);
  }

  async signal(id: string, signal: NodeJS.Signals, scope: "group" | "all"): Promise<number> {
    const known = this.#named(id);
    if (scope === "group" && known.over) throw new GuestError("closed", "The process has ended.");
    return await this.#signals.signal(id, signal, scope, known.over ? undefined : known.leader);
  }

  async forget(id: string): Promise<void> {
    const known = this.#processes.get(id);
    if (known?.over) this.#processes.delete(id);
    else if (known) this.#forgotten.add(id);
  }

  /**
   * Kills what an earlier run of the daemon started and waited for: its output, which only that daemon had, is lost.
   * @returns how many processes were found.
   */
  async killOrphans(): Promise<number> {
    return await this.#signals.killOrphans();
  }

  /** As `Guest.processTable`, as far as it can be seen from outside. */
  async processTable(): Promise<Pick<GuestTableEntry, "pid" | "argv" | "processId">[]> {
    return await this.#signals.table();
  }

  /** Lets go of all connections, as when the space is gone. */
  close(): void {
    for (const each of this.#processes.values()) each.abandon();
    this.#processes.clear();
  }

  #named(id: string): EngineProcess {
    const known = this.#processes.get(id);
    if (!known) throw new GuestError("not_found", `There is no process "${id}".`);
    return known;
  }

  async #launch(id: string, spec: GuestProcessSpec): Promise<EngineProcess> {
    const known = this.#processes.get(id) ?? this.#starting.get(id);
    if (known) return await known;
    const starting = this.#exec(id, spec).finally(() => this.#starting.delete(id));
    this.#starting.set(id, starting);
    return await starting;
  }

  async #exec(id: string, spec: GuestProcessSpec): Promise<EngineProcess> {
    const execSpec = {
      argv: spec.argv.map(toText),
      env: { ...spec.env, ...daemonVariable(spec.meta), CLAWDSPACE_PROCESS_ID: id },
      cwd: toText(spec.cwd),
      user: UIDS[this.user],
      pty: spec.pty,
      stdin: spec.stdin === true || spec.pty !== undefined,
    };
    const [exec, host] = await Promise.all([
      this.engine.exec(this.containerId, execSpec).catch((error: unknown) => {
        throw isRefused(error) ? toStartError(error.message) : error;
      }),
      this.#signals.host(),
    ]);
    const started = new EngineProcess(id, spec, exec, host);
    await started.started();
    this.#processes.set(id, started);
    void started.ended().then(() => this.#settle(id));
    return started;
  }

  #settle(id: string): void {
    if (this.#forgotten.delete(id)) this.#processes.delete(id);
    const finished = [...this.#processes].filter(([, each]) => each.over);
    for (const [old] of finished.slice(0, -MAX_FINISHED)) this.#processes.delete(old);
  }
}

/** Engines other than Docker's say what can't be started as the answer to the call. */
const isRefused = (error: unknown): error is EngineError =>
  error instanceof EngineError && (error.kind === "failed" || error.kind === "invalid");

/** The engine takes text only. */
function toText(value: string | Buffer): string {
  if (typeof value === "string") return value;
  if (isUtf8(value)) return value.toString("utf8");
  throw new GuestError(
    "invalid",
    "Without a guest agent, a command can't hold bytes that are not UTF-8.",
  );
}
