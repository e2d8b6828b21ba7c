import { setTimeout as delay } from "node:timers/promises";
import type { Context } from "./context.js";

const EVERY_MS = 1000;
const HOME_AND_CLEAR = "\x1b[H\x1b[J";

/** Shows what is measured: again and again on a terminal until Ctrl-C, once elsewhere. */
export async function live<T>(
  { out, signal }: Context,
  { stream, measure, name }: { stream: boolean; measure: () => Promise<T>; name: string },
  show: (value: T) => string,
): Promise<void> {
  const repeated = stream && out.isTerminal && !out.isJson;
  for (;;) {
    const value = await measure();
    if (!repeated) {
      out.result({ [name]: value }, () => show(value));
      return;
    }
    process.stdout.write(HOME_AND_CLEAR + show(value));
    await delay(EVERY_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
}
