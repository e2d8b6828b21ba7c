import type { SpaceChange } from "../spaces/registry.js";
import type { EventBus } from "./event-bus.js";

/** Publishes what becomes of spaces, whoever brought it about. */
export const publishChanges =
  (events: EventBus) =>
  ({ type, entry, at }: SpaceChange): void => {
    const data = { id: entry.id.slice(0, 12), image: entry.spec.image };
    // A space is there when it has its name, which is later than its container.
    const since = type === "created" ? new Date() : at;
    events.publish({ type: `space.${type}`, space: entry.name, at: since, data });
  };
