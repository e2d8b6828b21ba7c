/** What was asked for counts half after this long. */
const HALF_LIFE_MS = 5 * 60_000;
/** Less than this share of one create is forgotten. */
const FORGOTTEN = 0.1;
/** What a waiting container may come to use once it is claimed. */
const MEMBER_BYTES = 64 * 1024 ** 2;

interface Asked<T> {
  weight: number;
  at: number;
  what: T;
}

/** Remembers which shapes of spaces were asked for lately, and says how many of each should wait. */
export class Demand<T> {
  readonly #asked = new Map<string, Asked<T>>();

  /** Notes that a space of a shape was asked for. */
  ask(shape: string, what: T, now = Date.now()): void {
    this.#asked.set(shape, { weight: this.#weight(shape, now) + 1, at: now, what });
  }

  /**
   * How many of each shape should wait, `limit` in all: each as many as were asked for lately, and where that is more than
   * there may be, in proportion (by the highest averages). `home` is worth having one that waits, asked for or not.
   */
  targets(
    limit: number,
    home: { shape: string; what: T } | undefined,
    now = Date.now(),
  ): Map<string, { count: number; what: T }> {
    const wanted = new Map<string, { weight: number; what: T }>();
    for (const [shape, { what }] of this.#asked) {
      const weight = this.#weight(shape, now);
      if (weight < FORGOTTEN) this.#asked.delete(shape);
      else wanted.set(shape, { weight, what });
    }
    if (home) {
      const weight = Math.max(1, wanted.get(home.shape)?.weight ?? 0);
      wanted.set(home.shape, { weight, what: home.what });
    }
    const targets = new Map<string, { count: number; what: T }>();
    for (let slot = 0; slot < limit; slot++) {
      const [best] = [...wanted]
        .map(([shape, { weight, what }]) => ({
          shape,
          what,
          weight,
          count: targets.get(shape)?.count ?? 0,
        }))
        .filter(({ weight, count }) => count < Math.ceil(weight))
        .sort((a, b) => b.weight / (b.count + 1) - a.weight / (a.count + 1));
      if (!best) break;
      targets.set(best.shape, { count: best.count + 1, what: best.what });
    }
    return targets;
  }

  #weight(shape: string, now: number): number {
    const asked = this.#asked.get(shape);
    return asked ? asked.weight * 0.5 ** ((now - asked.at) / HALF_LIFE_MS) : 0;
  }
}

/** How many may wait, given the memory that is free with `waiting` of them there: a tenth of the node's stays free. */
export function roomFor(limit: number, waiting: number, free: number, total: number): number {
  const spare = free - Math.max(total / 10, 256 * 1024 ** 2);
  return Math.max(0, Math.min(limit, waiting + Math.floor(spare / MEMBER_BYTES)));
}
