/**
 * Keeps pauses and starts of execs of one container apart. A process that is frozen while the engine's runtime is still
 * setting it up leaves the container stuck in Docker: no unpause, stop or removal comes through any more.
 */
export class ExecGate {
  readonly #starting = new Map<string, Set<() => Promise<void>>>();
  readonly #pausing = new Map<string, Promise<unknown>>();

  /**
   * Runs `start`, after a pause that is under way. Pauses that come later await `begun` first, which resolves when the
   * command runs or has failed, unless the returned function has said before that this is settled.
   */
  async start<T>(
    container: string,
    start: () => Promise<{ value: T; begun: () => Promise<void> }>,
  ): Promise<{ value: T; settled: () => void }> {
    while (this.#pausing.has(container)) await this.#pausing.get(container)?.catch(() => {});
    const starts = this.#starting.get(container) ?? new Set();
    this.#starting.set(container, starts);
    const run = start();
    const wait = async () => await (await run).begun();
    const settled = () => {
      starts.delete(wait);
      if (starts.size === 0 && this.#starting.get(container) === starts)
        this.#starting.delete(container);
    };
    starts.add(wait);
    try {
      return { value: (await run).value, settled };
    } catch (error) {
      settled();
      throw error;
    }
  }

  /** Runs `pause` when every start before it has begun or failed; starts that come meanwhile wait for it. */
  async pause(container: string, pause: () => Promise<void>): Promise<void> {
    const starts = [...(this.#starting.get(container) ?? [])];
    const run = (async () => {
      await Promise.allSettled(starts.map((wait) => wait()));
      await pause();
    })();
    this.#pausing.set(container, run);
    try {
      await run;
    } finally {
      if (this.#pausing.get(container) === run) this.#pausing.delete(container);
    }
  }
}
