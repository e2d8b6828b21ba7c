import { setTimeout as delay } from "node:timers/promises";
import { GuestError } from "../guest/types.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { untilAwake } from "./awake.js";
import type { ProcessHost } from "./process-host.js";

const GRACE_MS = 2000;
const LOOK_MS = 50;

/**
 * Ends a terminal's shell as the loss of its line does, once the space is awake: SIGHUP, which the shell hands on to its
 * jobs; one that doesn't heed it is killed. What has left the terminal (nohup, a tmux server) goes on.
 */
export async function hangUp(entry: SpaceEntry, host: ProcessHost, id: string): Promise<void> {
  if (!(await untilAwake(entry))) return;
  try {
    await host.signal(id, "SIGHUP", "group");
    // A stopped shell takes the signal only when it goes on.
    await host.signal(id, "SIGCONT", "group");
    for (let waited = 0; waited < GRACE_MS; waited += LOOK_MS) {
      await delay(LOOK_MS);
      const info = (await host.list()).find((each) => each.id === id);
      if (!info || info.exit) break;
    }
    await host.signal(id, "SIGKILL", "group");
  } catch (error) {
    const over =
      error instanceof GuestError && (error.code === "closed" || error.code === "not_found");
    if (!over) throw error;
  } finally {
    await host.forget(id);
  }
}
