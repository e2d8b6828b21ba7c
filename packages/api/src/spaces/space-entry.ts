import type { Space, SpaceStatus } from "@clawdspace/protocol";
import type { ContainerDetails, ContainerState } from "../engine/engine.js";
import { WORKSPACE } from "./container-spec.js";
import type { Names } from "./names.js";
import type { SpaceSpec } from "./space-spec.js";

/** What the daemon knows of one space: a mirror of its container, and who uses it now. */
export class SpaceEntry {
  #state: ContainerState;
  #stateSince = new Date(0);
  startedAt: Date | undefined;
  lastActivity: Date;
  /** Of the container's first process, as the engine's machine sees it; 0 where it doesn't run. */
  pid = 0;
  /** The environment that the image and the container give every process. */
  imageEnv: Record<string, string> = {};
  /** Requests and processes that need the space awake. */
  uses = 0;
  /** Sleep has begun: who needs the space awake from now on waits until it sleeps, and wakes it. */
  fallingAsleep = false;
  #idle: (() => void)[] = [];
  readonly #reads = new Set<() => void>();
  readonly #onState = new Set<(state: ContainerState) => void>();

  constructor(
    readonly name: string,
    readonly id: string,
    readonly spec: SpaceSpec,
    readonly createdAt: Date,
    state: ContainerState,
  ) {
    this.#state = state;
    this.lastActivity = new Date();
  }

  get state(): ContainerState {
    return this.#state;
  }

  /** Takes a state as of a moment; what is older than the state known already is ignored. */
  setState(state: ContainerState, at = new Date()): void {
    if (at < this.#stateSince) return;
    // An engine's word from before the sleep, or of the moment in which a paused space runs so that it can be stopped.
    if (this.fallingAsleep && state === "running") return;
    const changed = this.#state !== state;
    this.#state = state;
    this.#stateSince = at;
    if (state !== "running" && state !== "paused") this.startedAt = undefined;
    if (changed) for (const listener of [...this.#onState]) listener(state);
  }

  /** Calls `listener` with each new state until the returned function is called. */
  onState(listener: (state: ContainerState) => void): () => void {
    this.#onState.add(listener);
    return () => this.#onState.delete(listener);
  }

  /** Notes that the space is used now. */
  touch(): void {
    this.lastActivity = new Date();
  }

  /** Takes over what the engine tells of the container. */
  learn(details: ContainerDetails): void {
    this.imageEnv = details.env;
    this.pid = details.pid;
    // One of the pool was started before there was a space.
    const { startedAt } = details;
    this.startedAt = startedAt && startedAt < this.createdAt ? this.createdAt : startedAt;
  }

  /** Counts a user of the space until the returned function is called (once). */
  hold(): () => void {
    this.uses++;
    this.touch();
    return () => {
      this.uses--;
      this.touch();
      if (this.uses === 0) for (const wake of this.#idle.splice(0)) wake();
    };
  }

  /**
   * Notes a read of the sleeping space, for which the engine keeps hold of its container, until the returned function is
   * called. `letGo` is called when something else is to be done with it.
   */
  readAsleep(letGo: () => void): () => void {
    this.#reads.add(letGo);
    return () => this.#reads.delete(letGo);
  }

  /** Frees the container of reads that the engine is busy with. */
  letGoOfReads(): void {
    for (const letGo of [...this.#reads]) letGo();
  }

  /** Resolves when nobody uses the space, or after `timeoutMs`. */
  async idle(timeoutMs: number): Promise<void> {
    if (this.uses === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

const STATUS: Record<ContainerState, SpaceStatus> = {
  created: "stopped",
  running: "running",
  paused: "paused",
  stopped: "stopped",
};

/** The wire's view of a space. */
export function toSpace(
  entry: SpaceEntry,
  { names, idleTimeoutMs }: { names: Names; idleTimeoutMs: number },
): Space {
  const { spec } = entry;
  const timeoutMs = spec.sleep?.idleTimeoutMs ?? idleTimeoutMs;
  const sleeps = entry.state === "running" && entry.uses === 0 && timeoutMs > 0;
  return {
    name: entry.name,
    id: entry.id.slice(0, 12),
    status: STATUS[entry.state],
    created: entry.createdAt.toISOString(),
    started: entry.startedAt?.toISOString() ?? null,
    image: spec.image,
    memory: spec.memoryBytes,
    cpus: spec.cpus,
    lastActivity: entry.lastActivity.toISOString(),
    ...(sleeps
      ? { sleepsAt: new Date(entry.lastActivity.getTime() + timeoutMs).toISOString() }
      : {}),
    volume: { name: names.volume(entry.name), mountpoint: WORKSPACE },
    ...(spec.template ? { template: spec.template } : {}),
    ...(spec.description ? { description: spec.description } : {}),
    ...(spec.labels ? { labels: spec.labels } : {}),
    ...(spec.gpu ? { gpu: true } : {}),
    ...(spec.gpus ? { gpus: spec.gpus.map(({ id }) => id) } : {}),
  };
}
