import type { ContainerState } from "../engine/engine.js";
import type { SpaceEntry } from "../spaces/space-entry.js";

export type PauseEvent = { type: "paused" } | { type: "resumed" };

/** What a stream yields, and between that, when its space is paused and when it goes on. */
export async function* withPauses<T>(
  entry: SpaceEntry,
  stream: AsyncIterable<T>,
): AsyncGenerator<T | PauseEvent> {
  const events: PauseEvent[] = [];
  let wake = () => {};
  let told: ContainerState = entry.state;
  const unlisten = entry.onState((state) => {
    if (state === told || (state !== "paused" && state !== "running")) return;
    told = state;
    events.push({ type: state === "paused" ? "paused" : "resumed" });
    wake();
  });
  const iterator = stream[Symbol.asyncIterator]();
  let next = iterator.next();
  // Awaited below; a rejection meanwhile is not unhandled.
  next.catch(() => {});
  try {
    for (;;) {
      const event = events.shift();
      if (event) {
        yield event;
        continue;
      }
      const changed = new Promise<undefined>((resolve) => {
        wake = () => resolve(undefined);
      });
      const result = await Promise.race([next, changed]);
      if (!result) continue;
      if (result.done) return;
      yield result.value;
      next = iterator.next();
      next.catch(() => {});
    }
  } finally {
    unlisten();
    await iterator.return?.();
  }
}
