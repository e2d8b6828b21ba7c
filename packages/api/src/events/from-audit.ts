import type { AuditEvent, EventType } from "@clawdspace/protocol";
import type { RecorderListener } from "../audit/recorder.js";
import type { EventBus } from "./event-bus.js";

/** What of the audit log is an event too: when it begins, and when it has ended well or not. */
const BEGINNINGS: Record<string, EventType> = {
  "space.exec": "exec.started",
  "terminal.close": "terminal.opened",
};
const ENDS: Record<string, EventType> = {
  "space.exec": "exec.finished",
  "process.start": "process.started",
  "process.signal": "process.signalled",
  "terminal.close": "terminal.closed",
};
/** These are events only where they ended well. */
const CHANGES: [RegExp, EventType][] = [
  [/^space\.file\./, "file.changed"],
  [/^template\./, "template.changed"],
  [/^space\.move$/, "space.moved"],
];

/** Publishes what the audit log is told of. */
export const publishRecorded = (events: EventBus): RecorderListener => ({
  began({ type: recorded, space, actor, meta, request }) {
    const type = BEGINNINGS[recorded];
    if (type) events.publish({ type, space, actor, data: { ...meta, request } });
  },
  logged({ type: recorded, space, actor, meta }) {
    const type = typeOfEnd(recorded, meta);
    if (type) events.publish({ type, space, actor, data: { ...meta, action: recorded } });
  },
});

function typeOfEnd(recorded: string, meta: AuditEvent["meta"]): EventType | undefined {
  const end = ENDS[recorded];
  if (end) return end;
  if (meta?.outcome !== "ok") return undefined;
  return CHANGES.find(([pattern]) => pattern.test(recorded))?.[1];
}
