import type { FastifyBaseLogger } from "fastify";
import type { ContainerSummary, Engine } from "../engine/engine.js";
import type { DiskStore } from "./disk-store.js";
import type { Names } from "./names.js";
import { LABEL } from "./names.js";
import type { Unfinished, UnfinishedStore } from "./unfinished-store.js";

/** How long an engine may go on with a request whose client is gone. */
const ENGINE_LAG_MS = 20_000;
/** How old a listing may be by which is swept. */
const LISTING_MS = 60_000;

export interface LeftoverParts {
  engine: Engine;
  names: Names;
  disks: DiskStore;
  unfinished: UnfinishedStore;
  log: FastifyBaseLogger;
}

/** What creates and removals leave behind that were cut off: written down before they begin, undone or finished later. */
export class Leftovers {
  /** The creates of this daemon that are under way. */
  readonly #making = new Set<string>();
  /** Those that came to their end lately, and when: a listing may still show their containers unfinished. */
  readonly #settled = new Map<string, number>();

  constructor(private readonly parts: LeftoverParts) {}

  /**
   * Notes that a create begins, so that the next daemon undoes it where this one is killed.
   * `forget` says that nothing is left to undo, `end` that this daemon does nothing more for it.
   */
  async creating(createId: string): Promise<{ forget: () => Promise<void>; end: () => void }> {
    this.#making.add(createId);
    const forget = await this.parts.unfinished.add({ kind: "create", createId, at: Date.now() });
    return {
      forget: async () => {
        this.#settled.set(createId, Date.now());
        await forget();
      },
      end: () => this.#making.delete(createId),
    };
  }

  /** Notes that a container and its volume are being removed. Resolves to what forgets it. */
  async removing(containerId: string, volume: string): Promise<() => Promise<void>> {
    return await this.parts.unfinished.add({ kind: "remove", containerId, volume, at: Date.now() });
  }

  /** Removes what a create has made: its container, and its volume unless that was there before. */
  async undo(containerId: string | undefined, createId: string): Promise<void> {
    const { engine } = this.parts;
    if (containerId) await engine.removeContainer(containerId);
    for (const volume of await engine.listVolumes({ [LABEL.create]: createId })) {
      await this.removeVolume(volume.name);
    }
  }

  /** Removes a volume for good, with the one that has its files where that is another. */
  async removeVolume(volume: string): Promise<void> {
    const { engine, disks } = this.parts;
    const backing = (await engine.findVolume(volume))?.labels[LABEL.backing];
    if (backing) await engine.removeVolume(backing);
    await engine.removeVolume(volume);
    await disks.remove(volume);
  }

  /**
   * Removes what creates left behind that were cut off by the end of an earlier daemon.
   * @param listed the containers that there are, where somebody has listed them already
   */
  async sweep(listed?: ContainerSummary[]): Promise<void> {
    const { engine, names, log } = this.parts;
    const oldest = Date.now() - LISTING_MS;
    for (const [id, at] of this.#settled) if (at < oldest) this.#settled.delete(id);
    for (const container of listed ?? (await engine.listContainers(names.ours))) {
      if (names.isLeftScratch(container.name)) await engine.removeContainer(container.id);
      const space = container.labels[LABEL.space];
      const createId = container.labels[LABEL.create];
      if (space === undefined || createId === undefined) continue;
      if (this.#making.has(createId) || this.#settled.has(createId)) continue;
      if (container.name !== names.unfinished(space)) continue;
      log.info({ space }, "removing a space that was never finished");
      await this.undo(container.id, createId);
    }
    await this.settle();
  }

  /**
   * Ends what an earlier daemon was killed in. Called before anything is served too: nobody shall find a space that is
   * still to be removed, or take the volume of one that is still to be undone.
   */
  async settle(): Promise<void> {
    const { unfinished, log } = this.parts;
    const left = await unfinished.left();
    const settled = await Promise.allSettled(
      left.map(async ({ record, forget }) => {
        if (await this.#finish(record)) await forget();
      }),
    );
    for (const each of settled) {
      if (each.status === "rejected")
        log.warn({ err: each.reason }, "could not end what was cut off");
    }
  }

  /** Undoes a create, or ends a removal, that an earlier daemon was killed in. Returns whether that settles it. */
  async #finish(record: Unfinished): Promise<boolean> {
    const { engine, names } = this.parts;
    if (record.kind === "remove") {
      await engine.removeContainer(record.containerId);
      await this.removeVolume(record.volume);
      return true;
    }
    const made = { ...names.ours, [LABEL.create]: record.createId };
    const [container] = await engine.listContainers(made);
    // Settled at once: the volume of a space that was finished may be kept when the space is removed later.
    if (container && names.spaceOf(container.name) !== undefined) return true;
    await this.undo(container?.id, record.createId);
    // The engine may still be at work on what was asked before the end; then the next sweep finds it.
    return Date.now() - record.at > ENGINE_LAG_MS;
  }
}
