/** Turns a task that reports progress by callback into the stream of its reports, with its result as the last value. */
export async function* withProgress<T>(
  task: (onProgress: (value: T) => void) => Promise<T>,
): AsyncGenerator<T> {
  const pending: T[] = [];
  let wake = () => {};
  let done = false;
  const result = task((value) => {
    pending.push(value);
    wake();
  }).finally(() => {
    done = true;
    wake();
  });
  // Awaited below; until then a rejection is not unhandled.
  result.catch(() => {});
  while (!done || pending.length > 0) {
    const value = pending.shift();
    if (value !== undefined) yield value;
    else await new Promise<void>((resolve) => (wake = resolve));
  }
  yield await result;
}
