import type { ContainerStats, Engine } from "../engine/engine.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { readCgroupStats } from "./cgroup-stats.js";

/** A rate over less than this is mostly noise: CPU time is counted in slices. */
const SHORTEST_MS = 250;
/** A rate over more than this is not "now". */
const LONGEST_MS = 90_000;

/** Two readings of a container's counters, for rates between them. */
export interface Sample {
  before: ContainerStats;
  now: ContainerStats;
}

/** Reads what spaces use, and remembers the readings before, so that one look is enough. */
export class Sampler {
  readonly #kept = new Map<string, { earlier: ContainerStats | undefined; last: ContainerStats }>();

  constructor(private readonly engine: Pick<Engine, "stats">) {}

  /** Throws `EngineError` where the space has gone meanwhile. */
  async sample(entry: SpaceEntry): Promise<Sample> {
    const local = await readCgroupStats(entry.pid, entry.id);
    const now = local ?? (await this.engine.stats(entry.id));
    const kept = this.#kept.get(entry.id);
    const fits = (reading: ContainerStats | undefined) => {
      const age = reading ? now.readAt.getTime() - reading.readAt.getTime() : 0;
      return age >= SHORTEST_MS && age <= LONGEST_MS;
    };
    if (!kept || fits(kept.last)) this.#kept.set(entry.id, { earlier: kept?.last, last: now });
    const before = [kept?.last, kept?.earlier].find(fits) ?? start(entry, now);
    return { before, now };
  }

  forget(entry: SpaceEntry): void {
    this.#kept.delete(entry.id);
  }
}

/** A container's counters when it started. */
function start(entry: SpaceEntry, now: ContainerStats): ContainerStats {
  const zero = Object.fromEntries(Object.keys(now).map((name) => [name, 0]));
  return { ...now, ...zero, readAt: entry.startedAt ?? entry.createdAt };
}
