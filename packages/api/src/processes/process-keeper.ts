import type { FastifyBaseLogger } from "fastify";
import type { GuestProcessInfo } from "../guest/types.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { awakeTimeout, untilAwake } from "./awake.js";
import type { ProcessHost } from "./process-host.js";
import type { ProcessHosts } from "./process-hosts.js";
import { decodeMeta, isOrphan, type ProcessMeta } from "./process-meta.js";

const LOOK_MS = 1000;
const FINISHED_LIFE_MS = 3_600_000;
const MAX_FINISHED = 100;
const ADOPT_TRIES = 5;
const ADOPT_AGAIN_MS = 2000;
const ADOPT_AT_ONCE = 8;

interface Kept {
  host: ProcessHost;
  /** Lets the space sleep again, stops the clock; called once, at the end of the process. */
  release: () => void;
  /** What keeps output that was not fetched yet, for a process that waits for that. */
  retained: { from: number; release: () => void } | undefined;
  timedOut: boolean;
  endedAt: Date | undefined;
}

/**
 * Looks after processes that outlive the request that started them: a space stays awake while they run, their time
 * limits hold, what finished is forgotten after a while. After a restart of the daemon it finds them again.
 */
export class ProcessKeeper {
  readonly #spaces = new Map<string, { entry: SpaceEntry; kept: Map<string, Kept> }>();
  readonly #adopted = new Set<string>();
  readonly #adopting: SpaceEntry[] = [];
  readonly #since = new Date();
  #adoptions = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly hosts: ProcessHosts,
    private readonly log: FastifyBaseLogger,
  ) {}

  start(): void {
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Takes a running process into its care. */
  keep(
    entry: SpaceEntry,
    host: ProcessHost,
    id: string,
    options: { timeoutMs: number | undefined; retainFrom: number | undefined },
  ): void {
    const space = this.#spaces.get(entry.id) ?? { entry, kept: new Map<string, Kept>() };
    this.#spaces.set(entry.id, space);
    const letSleep = entry.hold();
    let stopClock = () => {};
    const kept: Kept = {
      host,
      release: () => {
        letSleep();
        stopClock();
        kept.retained?.release();
        kept.retained = undefined;
        kept.release = () => {};
      },
      retained: undefined,
      timedOut: false,
      endedAt: undefined,
    };
    space.kept.set(id, kept);
    if (options.retainFrom !== undefined) {
      kept.retained = { from: options.retainFrom, release: host.retain(id, options.retainFrom) };
    }
    if (options.timeoutMs === undefined) return;
    stopClock = awakeTimeout(entry, options.timeoutMs, () => {
      kept.timedOut = true;
      host.signal(id, "SIGKILL", "all").catch((error: unknown) => {
        this.log.warn(
          { err: error, space: entry.name },
          "could not end a process whose time is up",
        );
      });
    });
  }

  /** What is known of a process beyond what its host tells. */
  of(entry: SpaceEntry, id: string): Pick<Kept, "timedOut" | "endedAt"> | undefined {
    return this.#spaces.get(entry.id)?.kept.get(id);
  }

  /** Output before this offset was received by whoever wants it; what follows is kept, where the process waits for that. */
  received(entry: SpaceEntry, id: string, offset: number): void {
    const kept = this.#spaces.get(entry.id)?.kept.get(id);
    const before = kept?.retained;
    if (!kept || !before || offset <= before.from) return;
    kept.retained = { from: offset, release: kept.host.retain(id, offset) };
    before.release();
  }

  /** Takes note of what a host tells of its processes. */
  note(entry: SpaceEntry, infos: GuestProcessInfo[]): void {
    const space = this.#spaces.get(entry.id);
    if (!space) return;
    for (const { id, exit } of infos) if (exit) this.ended(entry, id);
  }

  ended(entry: SpaceEntry, id: string): void {
    const kept = this.#spaces.get(entry.id)?.kept.get(id);
    if (!kept || kept.endedAt) return;
    kept.endedAt = new Date();
    kept.release();
  }

  forget(entry: SpaceEntry, id: string): void {
    const space = this.#spaces.get(entry.id);
    space?.kept.get(id)?.release();
    space?.kept.delete(id);
  }

  /** Lets go of a space whose processes are gone. */
  drop(entry: SpaceEntry): void {
    for (const kept of this.#spaces.get(entry.id)?.kept.values() ?? []) kept.release();
    this.#spaces.delete(entry.id);
  }

  /** Finds again what an earlier run of the daemon started in a space, as soon as the space is awake. */
  found(entry: SpaceEntry): void {
    if (entry.createdAt > this.#since || this.#adopted.has(entry.id)) return;
    const queue = () => {
      if (entry.state !== "running" || this.#adopted.has(entry.id)) return;
      unlisten();
      this.#adopted.add(entry.id);
      this.#adopting.push(entry);
      void this.#adoptNext();
    };
    const unlisten = entry.onState(queue);
    queue();
  }

  async #adoptNext(): Promise<void> {
    if (this.#adoptions >= ADOPT_AT_ONCE) return;
    this.#adoptions++;
    for (let entry = this.#adopting.shift(); entry; entry = this.#adopting.shift()) {
      await this.#adopt(entry);
    }
    this.#adoptions--;
  }

  async #adopt(entry: SpaceEntry): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        for (const host of await this.hosts.all(entry)) await this.#adoptFrom(entry, host);
        return;
      } catch (error) {
        if (tries === ADOPT_TRIES || !(await untilAwake(entry))) {
          this.log.warn({ err: error, space: entry.name }, "could not look for processes");
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, ADOPT_AGAIN_MS).unref());
    }
  }

  async #adoptFrom(entry: SpaceEntry, host: ProcessHost): Promise<void> {
    const killed = await host.killOrphans?.();
    if (killed)
      this.log.info({ space: entry.name, killed }, "ended what nobody waits for any more");
    for (const info of await host.list()) {
      const meta = decodeMeta(info.meta);
      if (!meta) continue;
      if (isOrphan(meta)) {
        if (!info.exit) await host.signal(info.id, "SIGKILL", "all");
        await host.forget(info.id);
      } else if (meta.kind === "background" && !this.of(entry, info.id)) {
        this.keep(entry, host, info.id, {
          timeoutMs: timeLeft(info, meta),
          retainFrom: info.onFull === "block" && !info.exit ? info.outputStart : undefined,
        });
        if (info.exit) this.ended(entry, info.id);
      }
    }
  }

  #look(): void {
    for (const { entry, kept } of this.#spaces.values()) {
      if (entry.state !== "running") continue;
      const hosts = new Set<ProcessHost>();
      for (const each of kept.values()) if (!each.endedAt) hosts.add(each.host);
      for (const host of hosts) {
        host.list().then(
          (infos) => this.#compare(entry, host, infos),
          (error: unknown) => this.log.debug({ err: error, space: entry.name }, "no list"),
        );
      }
      this.#tidy(entry, kept);
    }
  }

  #compare(entry: SpaceEntry, host: ProcessHost, infos: GuestProcessInfo[]): void {
    this.note(entry, infos);
    const ids = new Set(infos.map(({ id }) => id));
    for (const [id, kept] of this.#spaces.get(entry.id)?.kept ?? [])
      if (kept.host === host && !ids.has(id)) this.forget(entry, id);
  }

  #tidy(entry: SpaceEntry, kept: Map<string, Kept>): void {
    const finished = [...kept].filter(([, { endedAt }]) => endedAt);
    const old = Date.now() - FINISHED_LIFE_MS;
    for (const [index, [id, { host, endedAt }]] of finished.entries()) {
      const tooMany = index < finished.length - MAX_FINISHED;
      if (!tooMany && endedAt && endedAt.getTime() > old) continue;
      this.forget(entry, id);
      host.forget(id).catch(() => {});
    }
  }
}

/** What is left of a time limit. How long the space slept while no daemon watched is not known: it counts as awake. */
function timeLeft(info: GuestProcessInfo, meta: ProcessMeta): number | undefined {
  if (meta.timeoutMs === undefined) return undefined;
  return Math.max(0, meta.timeoutMs - (Date.now() - info.startedAt.getTime()));
}
