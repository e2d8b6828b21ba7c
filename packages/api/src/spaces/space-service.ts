import { randomUUID } from "node:crypto";
import {
  ClawdspaceError,
  type CreateSpaceEvent,
  type CreateSpaceRequest,
  type Space,
  type Template,
} from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { ContainerSpec, ContainerState, Engine, EngineInfo } from "../engine/engine.js";
import { EngineError } from "../engine/engine.js";
import type { NetworkService } from "../network/network-service.js";
import type { TemplateStore } from "../templates/template-store.js";
import { toContainerSpec } from "./container-spec.js";
import type { DiskStore } from "./disk-store.js";
import { type ImagePreparer, isSandboxImage } from "./image-preparer.js";
import type { Isolation } from "./isolation.js";
import { KeyedLock } from "./keyed-lock.js";
import type { Names } from "./names.js";
import { LABEL } from "./names.js";
import type { SpaceRegistry } from "./registry.js";
import { toSecurity } from "./security.js";
import { SpaceEntry, toSpace } from "./space-entry.js";
import { checkFits, resolveSpec, type SpaceSpec, type SpecDefaults } from "./space-spec.js";
import type { Unfinished, UnfinishedStore } from "./unfinished-store.js";

/** How long a pause waits for requests in flight. */
const PAUSE_GRACE_MS = 2000;
/** How long the processes of a space have to end when it is stopped. */
const STOP_GRACE_SECONDS = 2;
/** How long an engine may go on with a request whose client is gone. */
const ENGINE_LAG_MS = 20_000;

export type CreateProgress = (event: Extract<CreateSpaceEvent, { type: "progress" }>) => void;

export interface CreateOptions {
  signal: AbortSignal;
  onProgress: CreateProgress;
}

/** What a new space gets once its container runs: env, files, a repository, its set-up. It fails the create where it throws. */
export type Furnish = (
  entry: SpaceEntry,
  request: CreateSpaceRequest,
  template: Template,
  options: CreateOptions,
) => Promise<void>;

interface Parts {
  engine: Engine;
  registry: SpaceRegistry;
  names: Names;
  templates: TemplateStore;
  images: ImagePreparer;
  network: NetworkService;
  isolation: Isolation;
  disks: DiskStore;
  unfinished: UnfinishedStore;
  defaults: SpecDefaults;
  hasGpu: () => Promise<boolean>;
  /** Takes from a space what it has to tell before it goes. Never throws. */
  beforeRemove: (entry: SpaceEntry) => Promise<void>;
  log: FastifyBaseLogger;
}

/** The life of spaces on this node: create, find, use, pause, resume, remove. Changes of one space happen one after another. */
export class SpaceService {
  readonly #lock = new KeyedLock();
  readonly #unfinished = new Set<string>();
  #node: EngineInfo | undefined;

  constructor(
    private readonly parts: Parts,
    private readonly furnish: Furnish,
  ) {}

  async list(): Promise<Space[]> {
    const entries = await this.parts.registry.all();
    return entries
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
      .map((entry) => toSpace(entry, this.parts.names));
  }

  /** Throws `not_found`. */
  async get(name: string): Promise<Space> {
    return toSpace(await this.find(name), this.parts.names);
  }

  /** As `get`, with what confines the space as the engine tells it now. Throws `not_found`. */
  async describe(name: string): Promise<Space> {
    const { engine, names, network } = this.parts;
    const entry = await this.find(name);
    const { security } = await engine.inspectContainer(entry.id);
    const enforcement = await network.enforcement();
    return { ...toSpace(entry, names), security: toSecurity(security, entry.spec, enforcement) };
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
   * Makes a space, or nothing: whatever fails, and a client that goes away, leaves no container, volume or file.
   * Throws `exists`, `invalid_request`, `insufficient_resources`, `image_unavailable`.
   */
  async create(request: CreateSpaceRequest, options: CreateOptions): Promise<Space> {
    const { templates } = this.parts;
    const template = await (request.template
      ? templates.get(request.template)
      : templates.fallback());
    const spec = resolveSpec(request, template, this.parts.defaults);
    checkFits(spec, await this.#info());
    if (spec.gpu && !(await this.parts.hasGpu())) {
      throw new ClawdspaceError(
        "insufficient_resources",
        "This node has no GPU. Leave out gpu, or choose a template without it.",
        {
          issues: [{ path: "gpu", message: "this node has no GPU" }],
        },
      );
    }
    return await this.#lock.run(request.name, async () => {
      const existing = await this.parts.registry.find(request.name);
      if (existing) {
        if (request.idempotencyKey && existing.spec.idempotencyKey === request.idempotencyKey) {
          return toSpace(existing, this.parts.names);
        }
        throw new ClawdspaceError(
          "exists",
          `There is a space "${request.name}" already. Choose another name or remove that one first.`,
        );
      }
      return toSpace(await this.#make(request, template, spec, options), this.parts.names);
    });
  }

  /** @returns whether the volume was removed too. Throws `not_found`. */
  async remove(name: string, removeVolume: boolean): Promise<void> {
    await this.#lock.run(name, async () => {
      const entry = await this.find(name);
      await this.parts.beforeRemove(entry);
      const volume = this.parts.names.volume(name);
      const forget = removeVolume
        ? await this.parts.unfinished.add({
            kind: "remove",
            containerId: entry.id,
            volume,
            at: Date.now(),
          })
        : undefined;
      try {
        await this.parts.engine.removeContainer(entry.id);
        this.parts.registry.drop(entry);
        if (removeVolume) await this.#removeVolume(volume);
      } finally {
        await forget?.();
      }
    });
  }

  /** Freezes a space; requests in flight get a moment to finish, what still runs goes on after the next wake. */
  async pause(name: string): Promise<void> {
    await this.#lock.run(name, async () => {
      const entry = await this.find(name);
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
      await this.#toSleep(entry, "stopped", async () => {
        // Only what runs can end in order.
        await this.parts.engine.unpauseContainer(entry.id);
        await this.parts.engine.stopContainer(entry.id, STOP_GRACE_SECONDS);
        entry.setState("stopped");
      });
      return true;
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

  /** Removes what creates left behind that were cut off by the end of an earlier daemon. */
  async sweep(): Promise<void> {
    const { engine, names, log } = this.parts;
    for (const container of await engine.listContainers(names.ours)) {
      if (names.isLeftScratch(container.name)) await engine.removeContainer(container.id);
      const space = container.labels[LABEL.space];
      const createId = container.labels[LABEL.create];
      if (space === undefined || createId === undefined || this.#unfinished.has(createId)) continue;
      if (container.name !== names.unfinished(space)) continue;
      log.info({ space }, "removing a space that was never finished");
      await this.#undo(container.id, createId);
    }
    for (const { record, forget } of await this.parts.unfinished.left()) {
      if (await this.#finish(record)) await forget();
    }
  }

  /** Undoes a create, or ends a removal, that an earlier daemon was killed in. Returns whether that settles it. */
  async #finish(record: Unfinished): Promise<boolean> {
    const { engine, names } = this.parts;
    if (record.kind === "remove") {
      await engine.removeContainer(record.containerId);
      await this.#removeVolume(record.volume);
      return true;
    }
    const made = { ...names.ours, [LABEL.create]: record.createId };
    const [container] = await engine.listContainers(made);
    // Settled at once: the volume of a space that was finished may be kept when the space is removed later.
    if (container?.name === names.container(container?.labels[LABEL.space] ?? "")) return true;
    await this.#undo(container?.id, record.createId);
    // The engine may still be at work on what was asked before the end; then the next sweep finds it.
    return Date.now() - record.at > ENGINE_LAG_MS;
  }

  async #info(): Promise<EngineInfo> {
    this.#node ??= await this.parts.engine.info();
    return this.#node;
  }

  async #make(
    request: CreateSpaceRequest,
    template: Template,
    wanted: SpaceSpec,
    options: CreateOptions,
  ): Promise<SpaceEntry> {
    const { engine, images, names, registry, network, isolation, disks } = this.parts;
    const createId = randomUUID();
    let id: string | undefined;
    let address: string | undefined;
    let entry: SpaceEntry | undefined;
    this.#unfinished.add(createId);
    const forget = await this.parts.unfinished.add({ kind: "create", createId, at: Date.now() });
    try {
      const image = await images.ensure(wanted.image, request.wait ?? true, options);
      const guestVolume = await images.guestVolume(image, wanted.runtime);
      const seccompProfile = await isolation.check(wanted, await this.#info());
      const link = await network.lease(wanted);
      address = link?.address;
      const diskBytes = await disks.prepare(
        names.volume(request.name),
        { ...names.ours, [LABEL.space]: request.name, [LABEL.create]: createId },
        wanted.diskBytes,
      );
      const spec = {
        ...wanted,
        guest: guestVolume !== undefined,
        ...(address ? { address } : {}),
        ...(link?.gateway ? { gateway: link.gateway } : {}),
        ...(diskBytes ? { diskBytes } : {}),
      };
      // Until then the space reaches nothing, so that its start needn't wait.
      const admitted = network.admit(spec);
      admitted.catch(() => {});
      const container = toContainerSpec(spec, {
        name: request.name,
        createId,
        names,
        guestVolume,
        network: link?.network,
        seccompProfile,
        sandboxImage: isSandboxImage(image),
      });
      const [workspace] = container.volumes;
      if (workspace) await images.seedVolume(image, workspace.source, workspace.labels);
      id = await this.#createContainer(container);
      options.signal.throwIfAborted();
      await images.adapt(id, image, spec);
      await this.#start(request.name, id, spec);
      await admitted;
      const details = await engine.inspectContainer(id);
      entry = new SpaceEntry(request.name, id, spec, details.createdAt, "running");
      entry.learn(details);
      options.signal.throwIfAborted();
      await this.furnish(entry, request, template, options);
      options.signal.throwIfAborted();
      await engine.renameContainer(id, names.container(request.name));
      registry.put(entry);
      await forget();
      return entry;
    } catch (error) {
      if (entry) registry.drop(entry);
      await this.#undo(id, createId).then(forget, (cause: unknown) => {
        this.parts.log.error(
          { err: cause, space: request.name },
          "a failed create could not be undone yet",
        );
      });
      if (!entry) network.release(address);
      throw options.signal.aborted
        ? new ClawdspaceError("cancelled", "The client went away, so the space was not made.")
        : disks.explain(error);
    } finally {
      this.#unfinished.delete(createId);
    }
  }

  /** A name that is taken belongs to what an earlier daemon left unfinished; that is swept first. */
  async #createContainer(spec: ContainerSpec): Promise<string> {
    const { engine } = this.parts;
    try {
      return await engine.createContainer(spec);
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== "conflict") throw error;
      await this.sweep();
      return await engine.createContainer(spec);
    }
  }

  /** Starts a container that reaches nothing but what its policy says, or not at all. */
  async #start(name: string, id: string, spec: SpaceSpec): Promise<void> {
    const { engine, network, disks, names } = this.parts;
    if (spec.diskBytes !== undefined) await disks.ready(names.volume(name));
    if (spec.address === undefined) return await engine.startContainer(id);
    await network.ready(spec);
    try {
      await engine.startContainer(id);
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== "not_found") throw error;
      // The engine's clean-up takes networks away that no running container uses.
      await network.reattach(id, spec);
      await engine.startContainer(id);
    }
  }

  async #undo(containerId: string | undefined, createId: string): Promise<void> {
    const { engine } = this.parts;
    if (containerId) await engine.removeContainer(containerId);
    for (const volume of await engine.listVolumes({ [LABEL.create]: createId })) {
      await this.#removeVolume(volume.name);
    }
  }

  async #removeVolume(volume: string): Promise<void> {
    await this.parts.engine.removeVolume(volume);
    await this.parts.disks.remove(volume);
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
    if (entry.state === "paused") await this.parts.engine.unpauseContainer(entry.id);
    else await this.#restart(entry);
    entry.setState("running");
  }

  async #restart(entry: SpaceEntry): Promise<void> {
    const { engine } = this.parts;
    await this.#start(entry.name, entry.id, entry.spec);
    entry.learn(await engine.inspectContainer(entry.id));
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
