/** Lets any number of callers wait for the next time that something changes. */
export class Pulse {
  #waiting: (() => void)[] = [];

  /** Resolves at the next `beat`, when the signal aborts, or after `timeoutMs`. */
  async next({ signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs?: number } = {}) {
    if (signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs);
      function done() {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      }
      signal?.addEventListener("abort", done, { once: true });
      this.#waiting.push(done);
    });
  }

  beat(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
