import * as z from "zod";

/** The environment of one process holds at most 128 KiB a variable. */
const PIECE_CHARACTERS = 100_000;
const PREFIX = "CLAWDSPACE_EXEC_";

const ExecRequestSchema = z.object({
  baseUrl: z.string(),
  key: z.string().optional(),
  space: z.string(),
  command: z.string(),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
  /** Runs it in a terminal, as a process of this tag. */
  terminalTag: z.string().optional(),
});
export type ExecRequest = z.infer<typeof ExecRequestSchema>;

/** The environment that carries a request, key and all, to the process which runs it: no process list shows that. */
export function toEnvironment(request: ExecRequest): Record<string, string> {
  // Characters outside ASCII take more bytes than they count.
  const text = Buffer.from(JSON.stringify(request)).toString("base64");
  const pieces: Record<string, string> = {};
  for (let at = 0; at < text.length; at += PIECE_CHARACTERS) {
    pieces[`${PREFIX}${at / PIECE_CHARACTERS}`] = text.slice(at, at + PIECE_CHARACTERS);
  }
  return pieces;
}

/** Takes the request out of the environment. Throws where there is none. */
export function takeRequest(environment: NodeJS.ProcessEnv): ExecRequest {
  let text = "";
  for (let piece = 0; environment[`${PREFIX}${piece}`] !== undefined; piece++) {
    text += environment[`${PREFIX}${piece}`];
    delete environment[`${PREFIX}${piece}`];
  }
  return ExecRequestSchema.parse(JSON.parse(Buffer.from(text, "base64").toString()));
}
