import * as z from "zod";
import { ErrorBodySchema } from "./errors.js";
import { CommandOptionsSchema, CommandSchema } from "./exec.js";
import { SpaceNameSchema } from "./space.js";
import { TerminalSizeSchema } from "./terminal.js";

const MAX_STDIN_CHARACTERS = 16 * 1024 ** 2;

export const ProcessIdSchema = z
  .string()
  .regex(/^[0-9a-f]{32}$/, "must be the id of a process: 32 hex digits");

export const StartProcessRequestSchema = CommandOptionsSchema.extend({
  pty: TerminalSizeSchema.optional().describe("Runs it in a terminal of this size"),
  tag: z.string().min(1).max(64).optional().describe("A name of your own, to find it by"),
  stdin: z
    .union([z.boolean(), z.string().max(MAX_STDIN_CHARACTERS)])
    .optional()
    .describe(
      "true (default): its stdin stays open to be written to; false: it is empty; a text: it is that",
    ),
  stdinBase64: z.base64().max(MAX_STDIN_CHARACTERS).optional().describe("All of its stdin"),
  onFull: z
    .enum(["drop", "block"])
    .optional()
    .describe(
      "What becomes of output beyond the newest MiB: drop (default): the oldest is dropped, though not while somebody " +
        "follows it; block: the process waits until its output was fetched",
    ),
})
  .refine((body) => body.stdin === undefined || body.stdinBase64 === undefined, {
    path: ["stdinBase64"],
    message: "give either stdin or stdinBase64, not both",
  })
  .meta({ id: "StartProcessRequest" });
export type StartProcessRequest = z.infer<typeof StartProcessRequestSchema>;

/** A process that was started through the API. */
export const ManagedProcessSchema = z
  .object({
    managed: z.literal(true),
    id: ProcessIdSchema,
    pid: z.number().int().describe("As the space itself counts; 0 where that is not known"),
    kind: z
      .enum(["background", "exec", "terminal", "session"])
      .describe("What it was started as; exec and terminal end with their connection"),
    command: CommandSchema,
    tag: z.string().optional(),
    session: z.string().optional().describe("The name of the terminal session"),
    cwd: z.string(),
    user: z.enum(["sandbox", "root"]),
    pty: z.boolean(),
    stdinOpen: z.boolean(),
    startedAt: z.iso.datetime(),
    status: z.enum(["running", "exited"]),
    exitCode: z.number().int().optional().describe("128 + n where signal n ended it"),
    signal: z.string().optional().describe('Such as "SIGKILL", where a signal ended it'),
    timedOut: z.boolean().optional(),
    endedAt: z.iso.datetime().optional().describe("When the daemon saw it end"),
    outputStart: z.number().int().describe("The output that can be read begins at this byte"),
    outputEnd: z.number().int().describe("Bytes of output so far, stdout and stderr together"),
  })
  .meta({ id: "Process" });
export type ManagedProcess = z.infer<typeof ManagedProcessSchema>;

/** A process that something in the space started by itself. */
export const OtherProcessSchema = z.object({
  managed: z.literal(false),
  pid: z.number().int(),
  command: z.array(z.string()),
  startedAt: z.iso.datetime().optional(),
  status: z.literal("running"),
});
export type OtherProcess = z.infer<typeof OtherProcessSchema>;

export const ProcessListSchema = z.object({
  processes: z.array(z.discriminatedUnion("managed", [ManagedProcessSchema, OtherProcessSchema])),
});
export type ProcessList = z.infer<typeof ProcessListSchema>;

export const ProcessAnswerSchema = z.object({ process: ManagedProcessSchema });

export const ProcessParamsSchema = z.object({ name: SpaceNameSchema, id: ProcessIdSchema });

const flag = z
  .enum(["true", "false", "1", "0"])
  .transform((text) => text === "true" || text === "1");

export const ListProcessesQuerySchema = z.object({
  tag: z.string().optional().describe("Only those that were started with this tag"),
});

export const ProcessOutputQuerySchema = z.object({
  from: z.coerce.number().int().min(0).default(0).describe("The first byte wanted"),
  follow: flag.optional().describe("Goes on with what comes until the process has ended"),
  encoding: z.enum(["utf8", "base64"]).default("utf8"),
});
export type ProcessOutputQuery = z.infer<typeof ProcessOutputQuerySchema>;

const offset = z.number().int().describe("Bytes of output before this");

/** One line of a process's output. What comes next is asked for with `from` = offset + the bytes of data. */
export const ProcessOutputEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.enum(["stdout", "stderr"]),
    offset,
    data: z.string(),
    encoding: z
      .literal("base64")
      .optional()
      .describe(
        "Of the data; absent where it is text. Bytes that are no whole UTF-8 text come so too",
      ),
  }),
  z.object({
    type: z.literal("dropped"),
    offset,
    bytes: z.number().int().describe("So many bytes from this offset on are not kept any more"),
  }),
  z.object({
    type: z.literal("exit"),
    offset,
    exitCode: z.number().int(),
    signal: z.string().optional(),
    timedOut: z.boolean().optional(),
  }),
  z.object({
    type: z.literal("more").describe("The answer ends here; ask again from this offset"),
    offset,
  }),
  z.object({ type: z.enum(["paused", "resumed"]) }),
  ErrorBodySchema.extend({ type: z.literal("error") }),
]);
export type ProcessOutputEvent = z.infer<typeof ProcessOutputEventSchema>;

export const WaitProcessRequestSchema = z
  .strictObject({
    timeoutMs: z
      .number()
      .int()
      .min(0)
      .max(24 * 3600 * 1000)
      .optional()
      .describe("Then the answer tells of a process that still runs"),
  })
  .nullish();

export const ProcessStdinSchema = z
  .strictObject({
    data: z.string().optional(),
    dataBase64: z.base64().optional(),
    close: z.boolean().optional().describe("Ends stdin after the data"),
  })
  .refine((body) => body.data === undefined || body.dataBase64 === undefined, {
    path: ["dataBase64"],
    message: "give either data or dataBase64, not both",
  });

export const SIGNALS = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGKILL",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGTERM",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGWINCH",
] as const;

export const SignalProcessRequestSchema = z.strictObject({
  signal: z
    .string()
    .transform((text) => text.toUpperCase().replace(/^(?!SIG)/, "SIG"))
    .pipe(z.enum(SIGNALS))
    .describe('Such as "SIGTERM" or "INT"'),
  scope: z
    .enum(["group", "all"])
    .optional()
    .describe("Its process group (default), or everything that it started"),
});
