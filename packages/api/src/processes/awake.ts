import type { SpaceEntry } from "../spaces/space-entry.js";

/**
 * Calls `onExpired` when a space has been awake for `timeoutMs` in all: while it is paused the time stands still.
 * @returns what stops the clock.
 */
export function awakeTimeout(
  entry: SpaceEntry,
  timeoutMs: number,
  onExpired: () => void,
): () => void {
  let left = timeoutMs;
  let since = 0;
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    clearTimeout(timer);
    unlisten();
  };
  const run = () => {
    if (timer) {
      clearTimeout(timer);
      timer = undefined;
      left -= performance.now() - since;
    }
    if (entry.state !== "running") return;
    since = performance.now();
    timer = setTimeout(
      () => {
        stop();
        onExpired();
      },
      Math.max(0, left),
    );
  };
  const unlisten = entry.onState(run);
  run();
  return stop;
}

/** Resolves to true when the space runs, to false where it has stopped. A space that is removed while paused resolves nothing. */
export async function untilAwake(entry: SpaceEntry): Promise<boolean> {
  if (entry.state !== "paused") return entry.state === "running";
  return await new Promise<boolean>((resolve) => {
    const unlisten = entry.onState((state) => {
      if (state === "paused") return;
      unlisten();
      resolve(state === "running");
    });
  });
}
