import { setTimeout as delay } from "node:timers/promises";
import type { ContainerDetails, Engine } from "../engine/engine.js";
import type { Guests } from "./guests.js";

/** How long after the start the connection from before it may still take. */
const LATE_MS = 1000;

/**
 * Connects to the guest agent of a container that is about to start, and inspects the container as soon as that answers:
 * both are done by the time the engine is done with the start. Returns what to call after the start, for the details.
 */
export function meetEarly(
  { engine, guests }: { engine: Engine; guests: Guests },
  container: { id: string; name: string },
): () => Promise<ContainerDetails> {
  const early = guests
    .of(container)
    .then(() => engine.inspectContainer(container.id))
    .catch(() => undefined);
  return async () => {
    const late = delay(LATE_MS, "late" as const, { ref: false });
    const found = await Promise.race([early, late]);
    // An engine that lets nobody attach before the start: who needs the connection opens it anew.
    if (found === "late") guests.close(container);
    if (found && found !== "late" && found.state === "running" && found.pid > 0) return found;
    return await engine.inspectContainer(container.id);
  };
}
