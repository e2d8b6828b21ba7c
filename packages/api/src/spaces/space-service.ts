import { ClawdspaceError, type CreateSpaceRequest, type Space } from "@clawdspace/protocol";
import { type ContainerState, EngineError } from "../engine/engine.js";
import type { GpuLeases } from "../gpu/gpu-leases.js";
import type { Leaving } from "../nodes/moves/leaving.js";
import type { Reservations } from "../nodes/reservations.js";
import type { ClaimStore } from "../pool/claim-store.js";
import type { TemplateStore } from "../templates/template-store.js";
import type { CreateOptions } from "./create-options.js";
import { KeyedLock } from "./keyed-lock.js";
import type { Leftovers } from "./leftovers.js";
import type { SpaceRegistry } from "./registry.js";
import { toSecurity } from "./security.js";
import { type SpaceEntry, toSpace } from "./space-entry.js";
import type { SpaceMaker } from "./space-maker.js";
import { type StartParts, startSpace } from "./start-space.js";

/** How long a pause waits for requests in flight. */
const PAUSE_GRACE_MS = 2000;
/** How long the processes of a space have to end when it is stopped. */
const STOP_GRACE_SECONDS = 2;

interface Parts extends StartParts {
  registry: SpaceRegistry;
  templates: TemplateStore;
  leftovers: Leftovers;
  maker: SpaceMaker;
  claims: ClaimStore;
  reservations: Reservations;
  gpus: GpuLeases;
  leaving: Leaving;
  /** Of spaces whose template says nothing; 0 is never. */
  idleTimeoutMs: number;
  /** Takes from a space what it has to tell before it goes. Never throws. */
  beforeRemove: (entry: SpaceEntry) => Promise<void>;
}

/** The life of spaces on this node: create, find, use, pause, resume, remove. Changes of one space happen one after another. */
export class SpaceService {
  readonly #lock = new KeyedLock();

  constructor(private readonly parts: Parts) {}

  async list(): Promise<Space[]> {
    const entries = await this.parts.registry.all();
    return entries
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
      .map((entry) => toSpace(entry, this.parts));
  }

  /** Throws `not_found`. */
  async get(name: string): Promise<Space> {
    return toSpace(await this.find(name), this.parts);
  }

  /** As `get`, with what confines the space as the engine tells it now. Throws `not_found`. */
  async describe(name: string): Promise<Space> {
    const { engine, network } = this.parts;
    const entry = await this.find(name);
    const { security } = await engine.inspectContainer(entry.id);
    const enforcement = await network.enforcement();
    return {
      ...toSpace(entry, this.parts),
      security: toSecurity(security, entry.spec, enforcement),
    };
  }

  /** Throws `not_found`. */
  async find(name: string): Promise<SpaceEntry> {
    const entry = await this.parts.registry.find(name);
    if (!entry)
      throw new ClawdspaceError(
        "not_found",
        `There is no space "${name}". GET /api/spaces lists them.`,
      );
    return entry;
  }

  /**
   * Makes a space, or nothing: whatever fails, and a client that goes away, leaves no container, volume or file. With
   * `keepOnError` a space whose clone or set-up fails stays, and that failure is thrown all the same.
   * Throws `exists`, `invalid_request`, `insufficient_resources`, `image_unavailable`.
   */
  async create(request: CreateSpaceRequest, options: CreateOptions): Promise<Space> {
    const { templates } = this.parts;
    const template = await (request.template
      ? templates.get(request.template)
      : templates.fallback());
    const spec = await this.parts.maker.settle(request, template);
    const release = this.parts.reservations.take(spec.memoryBytes, options);
    const made = this.#lock.run(request.name, async () => {
      const existing = await this.parts.registry.find(request.name);
      if (existing) {
        if (request.idempotencyKey && existing.spec.idempotencyKey === request.idempotencyKey) {
          return toSpace(existing, this.parts);
        }
        throw new ClawdspaceError(
          "exists",
          `There is a space "${request.name}" already. Choose another name or remove that one first.`,
        );
      }
      const failures: ClawdspaceError[] = [];
      const onKept = (failure: ClawdspaceError) => failures.push(failure);
      const leased = await this.parts.gpus.lease(request.name, spec);
      const made = await this.parts.maker
        .make(request, template, leased.spec, { ...options, onKept })
        .finally(leased.release);
      for (const failure of failures) throw failure;
      return toSpace(made, this.parts);
    });
    return await made.finally(release);
  }

  /** Runs a task that makes a space by other ways than `create`, while nothing else is done to one of that name. */
  async alone<T>(name: string, task: () => Promise<T>): Promise<T> {
    return await this.#lock.run(name, task);
  }

  /** Removes a space; its volume is kept under its name unless `removeVolume`. Throws `not_found`, and `wrong_state` while it is moved. */
  async remove(name: string, removeVolume: boolean): Promise<void> {
    const { engine, names, registry, leftovers } = this.parts;
    await this.#lock.run(name, async () => {
      const entry = await this.find(name);
      this.parts.leaving.check(name);
      entry.letGoOfReads();
      await this.parts.beforeRemove(entry);
      const volume = names.volume(name);
      if (!removeVolume) await this.#keepVolume(entry);
      const forget = removeVolume ? await leftovers.removing(entry.id, volume) : undefined;
      try {
        await engine.removeContainer(entry.id);
        registry.drop(entry);
        if (removeVolume) await leftovers.removeVolume(volume);
      } finally {
        await forget?.();
      }
    });
  }

  /** Sees to it that what a claimed space has in its workspace is known by the space's name when the space is gone. */
  async #keepVolume(entry: SpaceEntry): Promise<void> {
    const { claims } = this.parts;
    if (!entry.spec.claimed) return;
    const claim = await claims.of(entry.id, entry.name);
    if (claim) await claims.name(claim);
  }

  /** Freezes a space; requests in flight get a moment to finish, what still runs goes on after the next wake. */
  async pause(name: string): Promise<void> {
    await this.#lock.run(name, async () => {
      const entry = await this.find(name);
      // A GPU is held by what is frozen: only a space that is stopped gives it back.
      if (entry.spec.gpus && entry.state !== "stopped") return await this.#halt(entry);
      if (entry.state !== "running") return;
      await this.#toSleep(entry, "paused", async () => {
        await entry.idle(PAUSE_GRACE_MS);
        await this.#freeze(entry);
      });
    });
  }

  /** Pauses a space that nobody uses and that was last used before `idleSince`; otherwise does nothing. */
  async pauseIfIdle(entry: SpaceEntry, idleSince: Date): Promise<boolean> {
    return await this.#lock.run(entry.name, async () => {
      const idle = entry.uses === 0 && entry.lastActivity < idleSince;
      if (!idle || entry.state !== "running" || !this.parts.registry.has(entry)) return false;
      await this.#toSleep(entry, "paused", () => this.#freeze(entry));
      return true;
    });
  }

  /** Stops a paused space that was last used before `idleSince`, which frees its memory; otherwise does nothing. */
  async stopIfIdle(entry: SpaceEntry, idleSince: Date): Promise<boolean> {
    return await this.#lock.run(entry.name, async () => {
      const idle = entry.uses === 0 && entry.lastActivity < idleSince;
      if (!idle || entry.state !== "paused" || !this.parts.registry.has(entry)) return false;
      await this.#halt(entry);
      return true;
    });
  }

  /** Ends a space's processes, under its lock. */
  async #halt(entry: SpaceEntry): Promise<void> {
    await this.#toSleep(entry, "stopped", async () => {
      // Only what runs can end in order.
      if (entry.state === "paused") await this.parts.engine.unpauseContainer(entry.id);
      await this.parts.engine.stopContainer(entry.id, STOP_GRACE_SECONDS);
      entry.setState("stopped");
    });
  }

  async resume(name: string): Promise<void> {
    const entry = await this.find(name);
    entry.touch();
    await this.#wake(entry);
  }

  /** Runs a task on a space that is awake and stays so until the task has ended; wakes it first. Throws `not_found`. */
  async use<T>(name: string, task: (entry: SpaceEntry) => Promise<T>): Promise<T> {
    const { entry, release } = await this.acquire(name);
    try {
      return await task(entry);
    } finally {
      release();
    }
  }

  /** As `use`, for a use that outlives one call: the space stays awake until `release` is called. */
  async acquire(name: string): Promise<{ entry: SpaceEntry; release: () => void }> {
    const entry = await this.find(name);
    // Not a use yet: a pause that waits for those that were there before it need not wait for this one.
    if (entry.fallingAsleep) await this.#lock.run(entry.name, async () => entry.touch());
    const release = entry.hold();
    try {
      await this.#wake(entry);
      return { entry, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Puts a space to sleep, under its lock. Where that fails its state is what the engine says. */
  async #toSleep(
    entry: SpaceEntry,
    to: "paused" | "stopped",
    sleep: () => Promise<void>,
  ): Promise<void> {
    entry.fallingAsleep = true;
    try {
      await sleep();
      entry.fallingAsleep = false;
    } catch (error) {
      entry.fallingAsleep = false;
      const found = await this.#reread(entry);
      if (found === "running" || (found === "paused" && to === "stopped")) throw error;
    }
  }

  async #freeze(entry: SpaceEntry): Promise<void> {
    entry.setState("paused");
    await this.parts.engine.pauseContainer(entry.id);
    // What the engine listed meanwhile may be from before.
    entry.setState("paused");
  }

  /** All who need a sleeping space wait for the same wake: the first one in does it, the others find it awake. */
  async #wake(entry: SpaceEntry): Promise<void> {
    if (entry.state === "running" && !entry.fallingAsleep) return;
    await this.#lock.run(entry.name, async () => {
      if (!this.parts.registry.has(entry)) {
        throw new ClawdspaceError("not_found", `The space "${entry.name}" was removed.`);
      }
      const before = entry.state;
      if (before === "running") return;
      this.parts.leaving.check(entry.name);
      try {
        await this.#awaken(entry);
      } catch (error) {
        const found = await this.#reread(entry);
        // It was stopped, or paused, behind our back: then it is woken from that.
        if (found !== undefined && found !== "running" && found !== before) {
          return await this.#awaken(entry);
        }
        if (found !== "running") throw error;
      }
    });
  }

  async #awaken(entry: SpaceEntry): Promise<void> {
    entry.letGoOfReads();
    if (entry.state === "paused") await this.parts.engine.unpauseContainer(entry.id);
    else await this.#restart(entry);
    entry.setState("running");
  }

  async #restart(entry: SpaceEntry): Promise<void> {
    const { engine, gpus } = this.parts;
    const release = gpus.again(entry);
    try {
      await startSpace(this.parts, entry);
      entry.learn(await engine.inspectContainer(entry.id));
      entry.setState("running");
    } finally {
      release();
    }
  }

  /** Asks the engine for a state that turned out other than ours; undefined where the container is gone. */
  async #reread(entry: SpaceEntry): Promise<ContainerState | undefined> {
    try {
      const { state } = await this.parts.engine.inspectContainer(entry.id);
      entry.setState(state);
      return state;
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== "not_found") throw error;
      this.parts.registry.drop(entry);
      return undefined;
    }
  }
}
