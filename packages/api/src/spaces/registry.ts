import { setTimeout as delay } from "node:timers/promises";
import type { FastifyBaseLogger } from "fastify";
import type { ContainerState, ContainerSummary, Engine, EngineEvent } from "../engine/engine.js";
import type { ActivityStore } from "./activity-store.js";
import type { Names } from "./names.js";
import { SpaceEntry } from "./space-entry.js";
import type { SpecReader } from "./spec-reader.js";

const RECONNECT_MS = 500;
const INSPECTS_AT_ONCE = 32;

const STATE_AFTER: Record<string, ContainerState> = {
  start: "running",
  unpause: "running",
  pause: "paused",
  die: "stopped",
};

export type SpaceChangeType =
  | "created"
  | "started"
  | "paused"
  | "woken"
  | "stopped"
  | "removed"
  | "oom";

/** What became of a space's container, whoever brought it about. */
export interface SpaceChange {
  type: SpaceChangeType;
  entry: SpaceEntry;
  at: Date;
}

/**
 * The spaces of this node, mirrored from the engine: filled by one list call, kept true by the engine's events.
 * While the event stream is down every look-up lists again, so what it tells is never stale.
 */
export class SpaceRegistry {
  readonly #entries = new Map<string, SpaceEntry>();
  /** The same ones by their container's id. */
  readonly #byId = new Map<string, SpaceEntry>();
  readonly #stop = new AbortController();
  readonly #added: ((entry: SpaceEntry) => void)[] = [];
  readonly #gone: ((entry: SpaceEntry) => void)[] = [];
  readonly #stopped: ((entry: SpaceEntry) => void)[] = [];
  readonly #changed: ((change: SpaceChange) => void)[] = [];
  readonly #others: ((event: EngineEvent) => void)[] = [];
  /** The state that listeners know of: a change is told once, by the event or by the listing that shows it first. */
  readonly #told = new WeakMap<SpaceEntry, ContainerState>();
  /** Containers that who makes them will put in as soon as they have their names. */
  readonly #awaited = new Set<string>();
  #connected: () => Promise<void> = async () => {};
  #following = false;
  #refreshing: Promise<ContainerSummary[]> | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly names: Names,
    private readonly specs: SpecReader,
    private readonly activity: ActivityStore,
    private readonly log: FastifyBaseLogger,
  ) {}

  /** Begins to follow the engine, reconnecting for as long as the daemon lives. */
  follow(): void {
    void (async () => {
      while (!this.#stop.signal.aborted) {
        await this.#followOnce().catch((error: unknown) => {
          if (!this.#stop.signal.aborted) this.log.warn({ err: error }, "lost the engine's events");
        });
        this.#following = false;
        await delay(RECONNECT_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
      }
    })();
  }

  close(): void {
    this.#stop.abort();
  }

  /** Calls `listener` with each space that becomes known: found in the engine, or made. */
  onAdded(listener: (entry: SpaceEntry) => void): void {
    this.#added.push(listener);
  }

  /** Calls `listener` with each space whose container is gone, whoever removed it. */
  onGone(listener: (entry: SpaceEntry) => void): void {
    this.#gone.push(listener);
  }

  /** Calls `listener` with each space whose container stopped: its processes are gone. */
  onStopped(listener: (entry: SpaceEntry) => void): void {
    this.#stopped.push(listener);
  }

  /** Calls `listener` with each change of a space, in order, also with those that others make in the engine. */
  onChange(listener: (change: SpaceChange) => void): void {
    this.#changed.push(listener);
  }

  /** Calls `listener` with each event of containers of ours that are no spaces. */
  onOther(listener: (event: EngineEvent) => void): void {
    this.#others.push(listener);
  }

  /** Runs `task` whenever the engine is there: at the start, and again after it was gone. */
  onConnected(task: () => Promise<void>): void {
    this.#connected = task;
  }

  /** Throws `EngineError` where the engine can't be asked. */
  async all(): Promise<SpaceEntry[]> {
    if (!this.#following) await this.refresh();
    return this.known();
  }

  /** What is in the mirror now, without asking anybody. */
  known(): SpaceEntry[] {
    return [...this.#entries.values()];
  }

  /** As `find`, in the mirror as it is now. */
  peek(name: string): SpaceEntry | undefined {
    return this.#entries.get(name);
  }

  /** The space that has an address in the network of the spaces, in the mirror as it is now. */
  byAddress(address: string): SpaceEntry | undefined {
    return [...this.#entries.values()].find(({ spec }) => spec.address?.split("/")[0] === address);
  }

  async find(name: string): Promise<SpaceEntry | undefined> {
    if (!this.#following) await this.refresh();
    return this.#entries.get(name);
  }

  has(entry: SpaceEntry): boolean {
    return this.#entries.get(entry.name) === entry;
  }

  /** Leaves a container that gets the name of a space alone until `put` or the returned function is called. */
  await(containerId: string): () => void {
    this.#awaited.add(containerId);
    return () => this.#awaited.delete(containerId);
  }

  /** Takes in a space that has just been made. */
  put(entry: SpaceEntry): void {
    this.#awaited.delete(entry.id);
    this.#take(entry);
    this.#tell("created", entry, entry.createdAt);
  }

  #take(entry: SpaceEntry): void {
    const before = this.#entries.get(entry.name);
    this.#entries.set(entry.name, entry);
    if (before) this.#byId.delete(before.id);
    this.#byId.set(entry.id, entry);
    this.#told.set(entry, entry.state);
    // The same container may have been found by its event already.
    if (before && before.id !== entry.id) this.#tellGone(before);
    if (before !== entry) for (const listener of this.#added) listener(entry);
  }

  /** Forgets a space, or one that never came to be, and tells those who keep something for it. */
  drop(entry: SpaceEntry): void {
    if (this.has(entry)) this.#entries.delete(entry.name);
    if (this.#byId.get(entry.id) === entry) this.#byId.delete(entry.id);
    this.#tellGone(entry);
  }

  /** Lists the engine's containers and makes the mirror equal; several callers at once share one listing. Returns it. */
  async refresh(): Promise<ContainerSummary[]> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return await this.#refreshing;
  }

  /** As `refresh`, by a listing that begins after this was called. */
  async refreshAnew(): Promise<ContainerSummary[]> {
    await this.#refreshing?.catch(() => {});
    return await this.refresh();
  }

  async #refresh(): Promise<ContainerSummary[]> {
    const listedAt = new Date();
    // A space that is made while the engine lists is not in the list, but is not gone.
    const before = this.known();
    const containers = await this.engine.listContainers(this.names.ours);
    const spaces = containers.filter((each) => this.specs.spaceOf(each) !== undefined);
    const unknown: ContainerSummary[] = [];
    for (const container of spaces) {
      const entry = this.#byId.get(container.id);
      if (!entry) unknown.push(container);
      else {
        entry.setState(container.state, listedAt);
        this.#tellState(entry, entry.state, listedAt);
      }
    }
    const ids = new Set(spaces.map((container) => container.id));
    for (const entry of before) if (!ids.has(entry.id) && this.has(entry)) this.drop(entry);
    for (let at = 0; at < unknown.length; at += INSPECTS_AT_ONCE) {
      await Promise.all(
        unknown.slice(at, at + INSPECTS_AT_ONCE).map((each) => this.#adopt(each.id)),
      );
    }
    return containers;
  }

  async #adopt(id: string): Promise<void> {
    const details = await this.engine.inspectContainer(id).catch(() => undefined);
    const name = details && this.specs.spaceOf(details);
    if (!name || this.#byId.has(id)) return;
    const told = await this.specs.read(details);
    if (!told) {
      this.log.error({ space: name }, "nothing tells a valid spec of the container; it is left");
      return;
    }
    const { spec, createdAt = details.createdAt } = told;
    // It may have been put in meanwhile by who made it.
    if (this.#byId.has(id)) return;
    const entry = new SpaceEntry(name, id, spec, createdAt, details.state);
    entry.learn(details);
    entry.lastActivity = this.activity.of(id) ?? entry.lastActivity;
    this.#take(entry);
  }

  async #followOnce(): Promise<void> {
    const since = new Date();
    await this.refresh();
    void this.#connected().catch((error: unknown) =>
      this.log.warn({ err: error }, "could not sweep"),
    );
    const events = this.engine.events(this.names.ours, since, this.#stop.signal);
    this.#following = true;
    for await (const event of events) await this.#apply(event);
  }

  async #apply(event: EngineEvent): Promise<void> {
    const entry = this.#byId.get(event.containerId);
    if (event.action === "rename" && !entry && !this.#awaited.has(event.containerId))
      return await this.#adopt(event.containerId);
    if (!entry) {
      for (const listener of this.#others) listener(event);
      return;
    }
    const state = STATE_AFTER[event.action];
    if (event.action === "destroy") this.drop(entry);
    else if (event.action === "oom") this.#tell("oom", entry, event.time);
    else if (state && !(state === "running" && entry.fallingAsleep)) {
      entry.setState(state, event.time);
      this.#tellState(entry, state, event.time);
    }
    if (event.action === "start") entry.learn(await this.engine.inspectContainer(entry.id));
    if (event.action === "die") for (const listener of this.#stopped) listener(entry);
  }

  #tellGone(entry: SpaceEntry): void {
    for (const listener of this.#gone) listener(entry);
    // One that failed to be made was never told of.
    if (this.#told.delete(entry)) this.#tell("removed", entry, new Date());
  }

  #tellState(entry: SpaceEntry, state: ContainerState, at: Date): void {
    const told = this.#told.get(entry);
    if (told === undefined || told === state) return;
    this.#told.set(entry, state);
    if (state === "running") this.#tell(told === "paused" ? "woken" : "started", entry, at);
    else if (state !== "created") this.#tell(state, entry, at);
  }

  #tell(type: SpaceChangeType, entry: SpaceEntry, at: Date): void {
    for (const listener of this.#changed) listener({ type, entry, at });
  }
}
