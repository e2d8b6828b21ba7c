import * as z from "zod";
import { SpaceNameSchema } from "./space.js";

/** Everything that GET /api/events and webhooks tell of. */
export const EVENT_TYPES = [
  "space.created",
  "space.started",
  "space.paused",
  "space.woken",
  "space.stopped",
  "space.removed",
  /** It is on another node now. */
  "space.moved",
  "space.oom",
  "exec.started",
  "exec.finished",
  "process.started",
  "process.signalled",
  "file.changed",
  "terminal.opened",
  "terminal.closed",
  "template.changed",
  "node.online",
  "node.offline",
  /** Only in a resumed stream: what happened between is no longer known, so look at everything anew. */
  "stream.reset",
] as const;

export const EventSchema = z
  .object({
    id: z.string().describe("Give it as Last-Event-ID to go on after this event"),
    ts: z.iso.datetime(),
    type: z.enum(EVENT_TYPES),
    space: z.string().optional(),
    actor: z.string().optional(),
    data: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: "Event" });
export type Event = z.infer<typeof EventSchema>;
export type EventType = Event["type"];

export const EventsQuerySchema = z.object({
  space: SpaceNameSchema.optional().describe("Only events of this space"),
  types: z
    .string()
    .max(1000)
    .transform((text) => text.split(",").filter(Boolean))
    .pipe(z.array(z.enum(EVENT_TYPES)))
    .optional()
    .describe("Only these types, separated by commas"),
  lastEventId: z
    .string()
    .max(100)
    .optional()
    .describe("As the header Last-Event-ID, for clients that can't set one"),
});
export type EventsQuery = z.infer<typeof EventsQuerySchema>;
