import { statfs } from "node:fs/promises";
import type { Readable } from "node:stream";
import { ClawdspaceError, formatSize } from "@clawdspace/protocol";
import type { Engine } from "../../engine/engine.js";
import type { GpuLeases } from "../../gpu/gpu-leases.js";
import type { ProcessHosts } from "../../processes/process-hosts.js";
import type { Blueprints } from "../../spaces/blueprint.js";
import { WORKSPACE } from "../../spaces/container-spec.js";
import type { EnvStore } from "../../spaces/env-store.js";
import type { ImagePreparer } from "../../spaces/image-preparer.js";
import type { Names } from "../../spaces/names.js";
import type { SpaceRegistry } from "../../spaces/registry.js";
import type { SpaceEntry } from "../../spaces/space-entry.js";
import type { SpaceMaker } from "../../spaces/space-maker.js";
import type { SpaceService } from "../../spaces/space-service.js";
import { checkFits } from "../../spaces/space-spec.js";
import type { Reservations } from "../reservations.js";
import type { Arrived } from "./arrived.js";
import { type Deferred, deferred } from "./deferred.js";
import type { CommittedMove, PreparedMove } from "./peer-moves.js";
import { digestOf, type TreeDigest } from "./tree-digest.js";

/** How long the other node may take for its next word. */
const SILENCE_MS = 60_000;
/** What stays free of the disk that workspaces are on. */
const SPARE_BYTES = 256 * 1024 ** 2;

interface Parts {
  engine: Engine;
  names: Names;
  registry: SpaceRegistry;
  spaces: SpaceService;
  maker: SpaceMaker;
  blueprints: Blueprints;
  images: ImagePreparer;
  reservations: Reservations;
  gpus: GpuLeases;
  envs: EnvStore;
  hosts: ProcessHosts;
  arrived: Arrived;
  isDrained: () => boolean;
}

interface Arrival extends PreparedMove {
  abort: AbortController;
  timer: NodeJS.Timeout;
  /** "complete" is the workspace that waits to become the space's; one that is "committing" can't be given up any more. */
  state: "prepared" | "copying" | "complete" | "committing";
  committed: Deferred<void>;
  made: Promise<SpaceEntry> | undefined;
}

/**
 * Spaces that other nodes move to this one. A copy is made as a new space is, and has the space's name only once the other node
 * says that it may: what was cut off before, by the end of either daemon, is swept as a failed create is.
 */
export class Arrivals {
  readonly #open = new Map<string, Arrival>();

  constructor(private readonly parts: Parts) {}

  /**
   * Sees whether a space could come here; makes nothing but the image. Throws `wrong_state` where the node is drained, `exists`,
   * `insufficient_resources`, `gpu_busy`, `image_unavailable`, `unprocessable`, `no_space_left`.
   */
  async prepare(move: PreparedMove, signal: AbortSignal): Promise<void> {
    const { isDrained, blueprints, reservations, gpus } = this.parts;
    const { id, name, spec, bytes } = move;
    if (isDrained()) {
      throw new ClawdspaceError("wrong_state", "That node is drained: it takes no spaces.");
    }
    await this.#checkName(name);
    checkFits(spec, await blueprints.node());
    reservations.take(spec.memoryBytes, { placed: true })();
    (await gpus.lease(name, spec)).release();
    const { guestVolume } = await blueprints.draw(spec, true, { signal, onProgress() {} });
    await this.#checkDisk(guestVolume, Math.max(bytes ?? 0, spec.diskBytes ?? 0));
    const arrival: Arrival = {
      ...move,
      abort: new AbortController(),
      state: "prepared",
      committed: deferred(),
      made: undefined,
      timer: setTimeout(() => this.abandon(id), SILENCE_MS).unref(),
    };
    this.#open.set(id, arrival);
  }

  /**
   * Makes the copy, and returns the digest of what is in its workspace as the engine reads it from there.
   * Throws `not_found` for a move that was not prepared, and what a create throws.
   */
  async take(id: string, archive: Readable, signal: AbortSignal): Promise<TreeDigest> {
    const arrival = this.#open.get(id);
    if (arrival?.state !== "prepared") {
      throw new ClawdspaceError("not_found", `No move "${id}" waits for its workspace here.`);
    }
    clearTimeout(arrival.timer);
    const until = AbortSignal.any([signal, arrival.abort.signal]);
    arrival.state = "copying";
    const taken = deferred<TreeDigest>();
    arrival.made = this.#make(arrival, archive, until, taken.resolve).finally(() => {
      clearTimeout(arrival.timer);
      this.#open.delete(id);
    });
    arrival.made.catch(taken.reject);
    const digest = await taken.promise;
    if (arrival.state === "copying") arrival.state = "complete";
    arrival.timer = setTimeout(() => this.abandon(id), SILENCE_MS).unref();
    return digest;
  }

  /** Makes the copy the space. Asked again, it answers the same: also what an earlier daemon has done. */
  async commit(id: string, name: string): Promise<CommittedMove> {
    const arrival = this.#open.get(id);
    if (arrival?.state === "complete" && !arrival.abort.signal.aborted) {
      clearTimeout(arrival.timer);
      arrival.state = "committing";
      arrival.committed.resolve();
    } else this.abandon(id);
    await arrival?.made?.catch(() => {});
    const entry = await this.parts.registry.find(name);
    if (entry?.spec.move === id)
      return { state: "moved", space: await this.parts.spaces.get(name) };
    if (await this.parts.arrived.had(id)) return { state: "removed" };
    return { state: "unknown", reason: "the copy was not kept there" };
  }

  /** Gives up a copy that isn't the space yet. */
  abandon(id: string): void {
    const arrival = this.#open.get(id);
    if (!arrival || arrival.state === "committing") return;
    clearTimeout(arrival.timer);
    if (!arrival.made) this.#open.delete(id);
    arrival.abort.abort();
  }

  async #make(
    arrival: Arrival,
    archive: Readable,
    signal: AbortSignal,
    onTaken: (digest: TreeDigest) => void,
  ): Promise<SpaceEntry> {
    const { engine, names, images, spaces, maker, reservations, gpus, envs, hosts } = this.parts;
    const { id, name, spec, env } = arrival;
    return await spaces.alone(name, async () => {
      await this.#checkName(name, id);
      const release = reservations.take(spec.memoryBytes, { placed: true });
      const leased = await gpus.lease(name, spec);
      try {
        const options = { signal, onProgress() {} };
        const furnish = async (entry: SpaceEntry) => {
          await envs.set(entry, env);
          await hosts.of(entry);
          await images.fillVolume(names.volume(name), archive);
          signal.throwIfAborted();
          onTaken(await digestOf(await engine.readArchive(entry.id, WORKSPACE)));
          await Promise.race([arrival.committed.promise, aborted(signal)]);
        };
        return await maker.arrive(name, { ...leased.spec, move: id }, furnish, options);
      } finally {
        leased.release();
        release();
      }
    });
  }

  async #checkName(name: string, own?: string): Promise<void> {
    const { registry, engine, names } = this.parts;
    const coming = [...this.#open.values()].some((each) => each.name === name && each.id !== own);
    if (coming || (await registry.find(name))) {
      throw new ClawdspaceError(
        "exists",
        `That node has a space "${name}" already. Remove that one first, or leave this one where it is.`,
      );
    }
    if (await engine.findVolume(names.volume(name))) {
      throw new ClawdspaceError(
        "exists",
        `That node keeps the files of an earlier space "${name}". Make a space of that name there and remove it with its volume first.`,
      );
    }
  }

  /** Looks at the disk that the engine keeps volumes on, where this daemon can see it. */
  async #checkDisk(volume: string | undefined, bytes: number): Promise<void> {
    const found = volume === undefined ? undefined : await this.parts.engine.findVolume(volume);
    const disk = found && (await statfs(found.mountpoint).catch(() => undefined));
    if (!disk) return;
    const free = disk.bavail * disk.bsize - SPARE_BYTES;
    if (bytes <= free) return;
    throw new ClawdspaceError(
      "no_space_left",
      `The workspace needs ${mib(bytes)} and that node has ${mib(free)} of disk left for it.`,
    );
  }
}

const mib = (bytes: number) => formatSize(Math.max(0, Math.ceil(bytes / 1024 ** 2)) * 1024 ** 2);

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    const fail = () => reject(new Error("the move was given up"));
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
