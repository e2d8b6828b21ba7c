import * as z from "zod";
import { CommandSchema } from "./exec.js";

const size = z.number().int().min(1).max(1000);

export const TerminalSizeSchema = z.strictObject({ cols: size, rows: size });
export type TerminalSize = z.infer<typeof TerminalSizeSchema>;

/** What a terminal's client sends as text frames; anything else it sends is raw input. */
export const TerminalMessageSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("input"), data: z.string() }),
  z.object({ type: z.literal("resize"), cols: size, rows: size }),
  z.object({ type: z.literal("ping") }),
  z.object({ type: z.literal("ack"), bytes: z.number().int().min(0) }),
]);
export type TerminalMessage = z.infer<typeof TerminalMessageSchema>;

const sizeInQuery = z.coerce.number().pipe(size).optional();

export const TerminalSessionNameSchema = z
  .string()
  .regex(/^[a-zA-Z0-9_-]{1,64}$/, "may hold letters, digits, '-' and '_' only, 64 at most");

export const TerminalQuerySchema = z.object({
  session: TerminalSessionNameSchema.optional().describe(
    "A terminal of this name, made where there is none, that outlives its connections",
  ),
  ack: z
    .enum(["true", "false", "1", "0"])
    .transform((text) => text === "true" || text === "1")
    .optional()
    .describe(
      'The client tells with {"type":"ack","bytes"} how much it has shown; the output waits at 1 MiB that it has not',
    ),
  cols: sizeInQuery,
  rows: sizeInQuery,
  command: z
    .string()
    .min(1)
    .max(65_536)
    .optional()
    .describe("Run as `sh -c` in place of the login shell"),
});
export type TerminalQuery = z.infer<typeof TerminalQuerySchema>;

/** A terminal that outlives its connections. */
export const TerminalSessionSchema = z
  .object({
    session: TerminalSessionNameSchema,
    processId: z.string(),
    pid: z.number().int(),
    command: CommandSchema,
    startedAt: z.iso.datetime(),
    viewers: z.number().int().describe("Connections that are attached now"),
  })
  .meta({ id: "TerminalSession" });
export type TerminalSession = z.infer<typeof TerminalSessionSchema>;

export const TerminalListSchema = z.object({ terminals: z.array(TerminalSessionSchema) });
