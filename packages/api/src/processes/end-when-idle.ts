/**
 * What a stream yields, until it has been silent for `idleMs` after a value; before the first value it may take any time.
 * @param stop ends the stream, so that nobody goes on waiting for its next value.
 */
export async function* endWhenIdle<T>(
  stream: AsyncIterable<T>,
  idleMs: number,
  stop: () => void,
): AsyncGenerator<T> {
  const iterator = stream[Symbol.asyncIterator]();
  let timer: NodeJS.Timeout | undefined;
  try {
    for (let first = true; ; first = false) {
      const next = iterator.next();
      // Not awaited where the silence comes first.
      next.catch(() => {});
      const silence = new Promise<undefined>((resolve) => {
        if (!first) timer = setTimeout(() => resolve(undefined), idleMs);
      });
      const result = await Promise.race([next, silence]);
      clearTimeout(timer);
      if (!result || result.done) return;
      yield result.value;
    }
  } finally {
    clearTimeout(timer);
    stop();
    await iterator.return?.();
  }
}
