import * as z from "zod";
import { SpaceNameSchema } from "./space.js";

/** `noun.verb`, with more nouns in front where there are some: "space.file.write". */
export const AuditTypeSchema = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+$/, 'must be a type such as "space.exec"');

/** One event of the audit log, a line of it: who did what to which space, and how it ended. */
export const AuditEventSchema = z
  .object({
    id: z.number().int().min(1).describe("Counts up by one from event to event"),
    ts: z.iso.datetime(),
    space: z.string().optional(),
    type: AuditTypeSchema,
    actor: z
      .string()
      .optional()
      .describe('"key:NAME", or "system" for what the daemon does itself'),
    meta: z.record(z.string(), z.unknown()).optional(),
    prev: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .describe("SHA-256 of the line before this one; the first line has zeros"),
  })
  .meta({ id: "AuditEvent" });
export type AuditEvent = z.infer<typeof AuditEventSchema>;

const time = z
  .union([z.iso.datetime({ offset: true }), z.iso.date()], {
    error: 'must be an ISO date or time, such as "2026-11-28" or "2026-11-28T09:30:00Z"',
  })
  .transform((text) => new Date(text));

export const DEFAULT_AUDIT_LIMIT = 200;
export const MAX_AUDIT_LIMIT = 1000;

export const AuditQuerySchema = z.object({
  space: SpaceNameSchema.optional(),
  type: AuditTypeSchema.optional(),
  actor: z.string().min(1).max(256).optional(),
  since: time.optional().describe("ISO time or date; events at it are included"),
  until: time.optional().describe("ISO time or date; events at it are left out"),
  before: z.coerce
    .number()
    .int()
    .min(1)
    .optional()
    .describe("A cursor: only events with a smaller id"),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MAX_AUDIT_LIMIT)
    .optional()
    .describe("The newest so many; default 200, with format=jsonl all of them"),
  format: z.enum(["json", "jsonl"]).default("json"),
});
export type AuditQuery = z.infer<typeof AuditQuerySchema>;

export const AuditAnswerSchema = z.object({
  events: z.array(AuditEventSchema).describe("Oldest first"),
  next: z.number().optional().describe("There may be older events: ask for them with before=next"),
});
export type AuditAnswer = z.infer<typeof AuditAnswerSchema>;

/** A place where the log is not what was written. */
export const AuditFaultSchema = z.object({
  kind: z
    .enum(["changed", "missing", "unreadable"])
    .describe("An event was changed; events were deleted; bytes are no event or can't be read"),
  id: z.number().describe("The first event at fault"),
  lastId: z.number().optional().describe("The last one, where several are missing"),
  file: z.string(),
  line: z.number().optional(),
  message: z.string(),
});
export type AuditFault = z.infer<typeof AuditFaultSchema>;

export const AuditVerdictSchema = z
  .object({
    ok: z.boolean(),
    events: z.number().describe("How many were read"),
    firstId: z.number().optional(),
    lastId: z.number().optional(),
    firstBadId: z.number().optional(),
    faults: z.array(AuditFaultSchema).describe("At most 100"),
  })
  .meta({ id: "AuditVerdict" });
export type AuditVerdict = z.infer<typeof AuditVerdictSchema>;
