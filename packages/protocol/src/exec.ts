import * as z from "zod";
import { EnvSchema } from "./space.js";

const noNul = z.string().refine((text) => !text.includes("\0"), "must not hold NUL characters");

export const CommandSchema = z.union([
  noNul.min(1, "must not be empty").max(1024 ** 2),
  z
    .array(noNul.max(1024 ** 2))
    .min(1, "must name a program")
    .max(10_000),
]);

export const DEFAULT_MAX_OUTPUT_BYTES = 10 * 1024 ** 2;

/** What a command is started with; shared by exec and by background processes. */
export const CommandOptionsSchema = z.strictObject({
  command: CommandSchema.describe("A string runs as `sh -c`, an array as argv"),
  cwd: noNul.max(4096).optional().describe("Absolute, or relative to /workspace (the default)"),
  env: EnvSchema.optional().describe("Added to the space's own environment"),
  user: z.enum(["sandbox", "root"]).optional(),
  timeoutMs: z
    .number()
    .int()
    .min(1)
    .max(24 * 3600 * 1000)
    .optional()
    .describe("Then everything the command started is killed"),
});

export const ExecRequestSchema = CommandOptionsSchema.extend({
  stdin: z
    .string()
    .max(16 * 1024 ** 2)
    .optional(),
  stdinBase64: z
    .base64()
    .max(24 * 1024 ** 2)
    .optional(),
  maxOutputBytes: z
    .number()
    .int()
    .min(0)
    .max(256 * 1024 ** 2)
    .optional()
    .describe(
      "For each of stdout and stderr; what exceeds it is cut and counted. Default 10 MiB; a stream has none",
    ),
  encoding: z.enum(["utf8", "base64"]).optional().describe("Of the output in the answer"),
})
  .refine((body) => !(body.stdin !== undefined && body.stdinBase64 !== undefined), {
    path: ["stdinBase64"],
    message: "give either stdin or stdinBase64, not both",
  })
  .meta({ id: "ExecRequest" });
export type ExecRequest = z.infer<typeof ExecRequestSchema>;

const outcome = {
  exitCode: z.number().int().describe("128 + n where signal n ended the command"),
  timedOut: z.boolean().optional(),
  stdoutTruncatedBytes: z.number().int().optional(),
  stderrTruncatedBytes: z.number().int().optional(),
};

export const ExecResultSchema = z
  .object({ stdout: z.string(), stderr: z.string(), ...outcome })
  .meta({ id: "ExecResult" });
export type ExecResult = z.infer<typeof ExecResultSchema>;

/** One line of an exec that is followed as NDJSON. */
export const ExecEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.enum(["stdout", "stderr"]),
    data: z.string(),
    offset: z
      .number()
      .int()
      .describe("Bytes of output, stdout and stderr together, before this piece"),
  }),
  z.object({ type: z.literal("exit"), ...outcome }),
  z.object({
    type: z.enum(["paused", "resumed"]).describe("The space was put to sleep, and woken again"),
  }),
  z.object({ type: z.literal("error"), error: z.string(), code: z.string() }),
]);
export type ExecEvent = z.infer<typeof ExecEventSchema>;
