import { randomUUID } from "node:crypto";
import { CommandSchema } from "@clawdspace/protocol";
import { z } from "zod";

/** Which run of the daemon this is. */
export const DAEMON = randomUUID();

/** The guest agent keeps no more. */
const MAX_BYTES = 16 * 1024;
const MAX_CHARACTERS = 4096;
const MAX_ARGUMENTS = 64;

const MetaSchema = z.object({
  /** "exec" and "terminal" end with the connection that they were started for; the others outlive it. */
  kind: z.enum(["exec", "terminal", "background", "session"]),
  daemon: z.string(),
  command: CommandSchema,
  cwd: z.string(),
  user: z.enum(["sandbox", "root"]),
  tag: z.string().optional(),
  session: z.string().optional(),
  timeoutMs: z.number().optional(),
});
export type ProcessMeta = z.infer<typeof MetaSchema>;

/** What the daemon wants to know of a process after its own restart, as the bytes that the guest agent keeps. */
export function encodeMeta(meta: Omit<ProcessMeta, "daemon">): Buffer {
  for (let characters = MAX_CHARACTERS; ; characters /= 2) {
    const cwd = shorten(meta.cwd, characters);
    const command = shortenCommand(meta.command, characters);
    const bytes = Buffer.from(JSON.stringify({ ...meta, cwd, command, daemon: DAEMON }));
    if (bytes.length <= MAX_BYTES) return bytes;
  }
}

function shortenCommand(command: ProcessMeta["command"], characters: number) {
  if (typeof command === "string") return shorten(command, characters);
  const shown = command.slice(0, MAX_ARGUMENTS);
  return shown.map((each) => shorten(each, characters / shown.length));
}

/** undefined where the bytes are none of ours: what a space's agent says is not to be trusted. */
export function decodeMeta(bytes: Buffer): ProcessMeta | undefined {
  try {
    return MetaSchema.safeParse(JSON.parse(bytes.toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

/** Whether somebody waited for the process who is gone with an earlier run of the daemon. */
export const isOrphan = (meta: ProcessMeta): boolean =>
  (meta.kind === "exec" || meta.kind === "terminal") && meta.daemon !== DAEMON;

/** In the environment of processes that end with the daemon, where no guest agent keeps a note of it. */
export const DAEMON_VARIABLE = "CLAWDSPACE_DAEMON";

export function daemonVariable(meta: Buffer | undefined): Record<string, string> {
  const kind = meta && decodeMeta(meta)?.kind;
  return kind && kind !== "background" ? { [DAEMON_VARIABLE]: DAEMON } : {};
}

/** Whether an environment, its variables separated by NUL, belongs to a process of an earlier run of the daemon. */
export function isOfEarlierDaemon(environ: string): boolean {
  const daemon = new RegExp(`(?:^|\0)${DAEMON_VARIABLE}=([^\0]*)`).exec(environ)?.[1];
  return daemon !== undefined && daemon !== DAEMON;
}

const shorten = (text: string, length: number) =>
  text.length <= length ? text : `${text.slice(0, Math.max(0, Math.floor(length) - 1))}…`;
