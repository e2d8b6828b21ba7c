import { randomBytes } from "node:crypto";
import {
  ClawdspaceError,
  type ManagedProcess,
  type OtherProcess,
  type ProcessList,
  type ProcessOutputEvent,
  type ProcessOutputQuery,
  type StartProcessRequest,
} from "@clawdspace/protocol";
import { GuestError, type GuestProcessInfo } from "../guest/types.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { SpaceService } from "../spaces/space-service.js";
import { within } from "../within.js";
import { endWhenIdle } from "./end-when-idle.js";
import { toOutputEvents } from "./output-events.js";
import type { ProcessHost } from "./process-host.js";
import type { ProcessHosts } from "./process-hosts.js";
import type { ProcessKeeper } from "./process-keeper.js";
import { decodeMeta, encodeMeta } from "./process-meta.js";
import { startFailure } from "./start-failure.js";
import { type PauseEvent, withPauses } from "./with-pauses.js";

/** One answer of a process that waits for its reader ends after so much, so that what was received gets known. */
const UNACKNOWLEDGED_BYTES = 512 * 1024;
const UNACKNOWLEDGED_MS = 250;

interface Found {
  host: ProcessHost;
  info: GuestProcessInfo;
}

/** Processes that outlive the request that started them, and those that came about otherwise. */
export class ProcessService {
  /** What was last known of spaces, so that a sleeping one need not be woken to tell. */
  readonly #lists = new WeakMap<SpaceEntry, ProcessList["processes"]>();

  constructor(
    private readonly spaces: SpaceService,
    private readonly hosts: ProcessHosts,
    private readonly keeper: ProcessKeeper,
  ) {}

  /** Throws `unprocessable` where the program can't be started, `invalid_request` where its folder can't be used. */
  async start(name: string, request: StartProcessRequest): Promise<ManagedProcess> {
    return await this.spaces.use(name, async (entry) => {
      const { tag, timeoutMs, user = "sandbox", pty } = request;
      const host = await this.hosts.of(entry, user);
      const { cwd, ...spec } = await this.hosts.spec(entry, request);
      const id = randomBytes(16).toString("hex");
      const meta = encodeMeta({
        kind: "background",
        command: request.command,
        cwd,
        user,
        ...(tag === undefined ? {} : { tag }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
      const onFull = request.onFull === "block" ? "block" : "follow";
      try {
        await host.start({
          ...spec,
          id,
          cwd,
          onFull,
          meta,
          stdin: request.stdin !== false,
          ...(pty ? { pty, env: { TERM: "xterm-256color", ...spec.env } } : {}),
        });
      } catch (error) {
        const failure = startFailure(error, request);
        throw failure ? new ClawdspaceError("unprocessable", failure.message) : error;
      }
      const retainFrom = onFull === "block" ? 0 : undefined;
      this.keeper.keep(entry, host, id, { timeoutMs, retainFrom });
      const input = inputOf(request);
      if (input) feed(host, id, input);
      return (await this.#find(entry, id)).process;
    });
  }

  /** Also those that something in the space started by itself. A sleeping space is not woken: then it is what was last known. */
  async list(name: string, tag?: string): Promise<ProcessList["processes"]> {
    const entry = await this.spaces.find(name);
    let all = this.#lists.get(entry);
    if (entry.state === "running") all = await this.#list(entry);
    else if (entry.state !== "paused") all = [];
    all ??= await this.spaces.use(name, (awake) => this.#list(awake));
    if (tag === undefined) return all;
    return all.filter((process) => process.managed && process.tag === tag);
  }

  /** Throws `not_found`. */
  async get(name: string, id: string): Promise<ManagedProcess> {
    const entry = await this.spaces.find(name);
    const known = entry.state === "paused" ? this.#lists.get(entry) : undefined;
    const last = known?.find((each) => each.managed && each.id === id);
    if (last?.managed) return last;
    return await this.#use(name, id, async ({ process }) => process);
  }

  /** Waits for a process's end, or for `timeoutMs`; answers with what it then is. */
  async wait(
    name: string,
    id: string,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<ManagedProcess> {
    return await this.#use(name, id, async ({ host, info, process }, entry) => {
      if (info.exit || timeoutMs === 0) return process;
      const until = timeoutMs === undefined ? signal : within(timeoutMs, signal);
      try {
        for await (const each of host.output(id, info.outputEnd, until)) {
          if (each.type === "exit") this.keeper.ended(entry, id);
        }
      } catch (error) {
        if (!until.aborted) throw error;
      }
      signal.throwIfAborted();
      return (await this.#find(entry, id)).process;
    });
  }

  /**
   * A process's output from an offset on; see ProcessOutputEvent. The first value is undefined: then nothing is wrong
   * with the request any more. Throws `range_not_satisfiable` where the offset lies ahead.
   */
  async *output(
    name: string,
    id: string,
    { from, follow, encoding }: ProcessOutputQuery,
    signal: AbortSignal,
  ): AsyncGenerator<ProcessOutputEvent | PauseEvent | undefined> {
    await this.#refuseStopped(name, id);
    const { entry, release } = await this.spaces.acquire(name);
    try {
      const { host, info } = await this.#find(entry, id);
      if (from > info.outputEnd) {
        throw new ClawdspaceError(
          "range_not_satisfiable",
          `The process has written ${info.outputEnd} bytes so far, so there is nothing at ${from} yet.`,
        );
      }
      this.keeper.received(entry, id, Math.max(from, info.outputStart));
      yield undefined;
      const waits = info.onFull === "block" && !info.exit;
      const window = waits ? UNACKNOWLEDGED_BYTES : Number.POSITIVE_INFINITY;
      const end = follow ? Number.POSITIVE_INFINITY : info.outputEnd;
      const until = info.exit ? Number.POSITIVE_INFINITY : Math.min(end, from + window);
      const stop = new AbortController();
      const all = host.output(id, from, AbortSignal.any([signal, stop.signal]));
      // Silence may mean that the process waits for it to be known that this was received.
      const output = waits ? endWhenIdle(all, UNACKNOWLEDGED_MS, () => stop.abort()) : all;
      for await (const event of withPauses(
        entry,
        toOutputEvents(output, { encoding, until, from }),
      )) {
        if (event.type !== "exit") {
          yield event;
          continue;
        }
        this.keeper.ended(entry, id);
        const timedOut = this.keeper.of(entry, id)?.timedOut;
        yield { ...event, ...(timedOut ? { timedOut } : {}) };
      }
    } finally {
      release();
    }
  }

  /** Resolves when the process, or the pipe before it, has room for more. Throws `wrong_state` where stdin is closed. */
  async writeStdin(name: string, id: string, data: Buffer, close: boolean): Promise<void> {
    await this.#with(name, id, async ({ host, info }) => {
      if (!info.stdinOpen) throw new GuestError("closed", "stdin is closed");
      if (data.length > 0) await host.writeStdin(id, data);
      if (close) await host.closeStdin(id);
    });
  }

  /** Throws `unprocessable` for one without a terminal. */
  async resize(name: string, id: string, cols: number, rows: number): Promise<void> {
    await this.#with(name, id, async ({ host, info }) => {
      if (!info.pty) {
        throw new ClawdspaceError(
          "unprocessable",
          `Process "${id}" was started without a terminal, so it has no size. Start it with "pty".`,
        );
      }
      await host.resize(id, cols, rows);
    });
  }

  /** @returns how many processes were found. Throws `wrong_state` where the process has ended. */
  async signal(
    name: string,
    id: string,
    signal: NodeJS.Signals,
    scope: "group" | "all",
  ): Promise<number> {
    return await this.#with(name, id, ({ host }) => host.signal(id, signal, scope));
  }

  /** Kills everything that a process started, and forgets it. */
  async remove(name: string, id: string): Promise<void> {
    await this.#with(name, id, async ({ host }, entry) => {
      await host.signal(id, "SIGKILL", "all");
      await host.forget(id);
      this.keeper.forget(entry, id);
    });
  }

  async #with<T>(
    name: string,
    id: string,
    task: (found: Found, entry: SpaceEntry) => Promise<T>,
  ): Promise<T> {
    return await this.#use(name, id, async (found, entry) => {
      try {
        return await task(found, entry);
      } catch (error) {
        if (!(error instanceof GuestError) || error.code !== "closed") throw error;
        throw new ClawdspaceError(
          "wrong_state",
          `Process "${id}" takes that no longer: it has ended, or its stdin is closed.`,
          { cause: error },
        );
      }
    });
  }

  async #use<T>(
    name: string,
    id: string,
    task: (found: Found & { process: ManagedProcess }, entry: SpaceEntry) => Promise<T>,
  ): Promise<T> {
    await this.#refuseStopped(name, id);
    return await this.spaces.use(
      name,
      async (entry) => await task(await this.#find(entry, id), entry),
    );
  }

  /** A stopped space has no processes; it need not be started to say so. */
  async #refuseStopped(name: string, id: string): Promise<void> {
    const entry = await this.spaces.find(name);
    if (entry.state !== "running" && entry.state !== "paused") throw unknownProcess(entry, id);
  }

  async #find(entry: SpaceEntry, id: string): Promise<Found & { process: ManagedProcess }> {
    for (const host of await this.hosts.all(entry)) {
      const infos = await host.list();
      this.keeper.note(entry, infos);
      const info = infos.find((each) => each.id === id);
      const process = info && this.#toProcess(entry, info);
      if (process) return { host, info, process };
    }
    throw unknownProcess(entry, id);
  }

  async #list(entry: SpaceEntry): Promise<ProcessList["processes"]> {
    const hosts = await this.hosts.all(entry);
    const [table, ...lists] = await Promise.all([
      hosts[0]?.processTable() ?? [],
      ...hosts.map((host) => host.list()),
    ]);
    const infos = lists.flat();
    this.keeper.note(entry, infos);
    const managed = infos.flatMap((info) => this.#toProcess(entry, info) ?? []);
    const pids = new Set(managed.map(({ pid }) => pid));
    // What a process started goes with it in the list; what outlives it stands for itself.
    const living = new Set(managed.flatMap(({ id, status }) => (status === "running" ? [id] : [])));
    const isOwn = (processId: string | undefined) =>
      processId === undefined || !living.has(processId);
    const others = table
      .filter(({ pid, processId }) => pid > 1 && isOwn(processId) && !pids.has(pid))
      .map(
        ({ pid, argv, startedAt }): OtherProcess => ({
          managed: false,
          pid,
          command: argv.map((each) => each.toString("utf8")),
          ...(startedAt ? { startedAt: startedAt.toISOString() } : {}),
          status: "running",
        }),
      );
    const all = [...managed, ...others];
    this.#lists.set(entry, all);
    return all;
  }

  #toProcess(entry: SpaceEntry, info: GuestProcessInfo): ManagedProcess | undefined {
    const meta = decodeMeta(info.meta);
    if (!meta) return undefined;
    const { kind, command, tag, session, cwd, user } = meta;
    const kept = this.keeper.of(entry, info.id);
    return {
      managed: true,
      id: info.id,
      pid: info.pid,
      kind,
      command,
      ...(tag === undefined ? {} : { tag }),
      ...(session === undefined ? {} : { session }),
      cwd,
      user,
      pty: info.pty,
      stdinOpen: info.stdinOpen,
      startedAt: info.startedAt.toISOString(),
      status: info.exit ? "exited" : "running",
      ...(info.exit ? { exitCode: info.exit.exitCode } : {}),
      ...(info.exit?.signal ? { signal: info.exit.signal } : {}),
      ...(kept?.timedOut ? { timedOut: true } : {}),
      ...(kept?.endedAt ? { endedAt: kept.endedAt.toISOString() } : {}),
      outputStart: info.outputStart,
      outputEnd: info.outputEnd,
    };
  }
}

const unknownProcess = (entry: SpaceEntry, id: string) =>
  new ClawdspaceError(
    "not_found",
    `There is no process "${id}" in space "${entry.name}". GET …/processes lists them.`,
  );

function inputOf(request: StartProcessRequest): Buffer | undefined {
  if (typeof request.stdin === "string") return Buffer.from(request.stdin, "utf8");
  if (request.stdinBase64 !== undefined) return Buffer.from(request.stdinBase64, "base64");
  return undefined;
}

function feed(host: ProcessHost, id: string, input: Buffer): void {
  // A process that ends without reading its input is no error.
  void (async () => {
    if (input.length > 0) await host.writeStdin(id, input);
    await host.closeStdin(id);
  })().catch(() => {});
}
