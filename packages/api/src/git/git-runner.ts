import { StringDecoder } from "node:string_decoder";
import type { ExecResult } from "@clawdspace/protocol";
import { captureExec } from "../processes/capture.js";
import type { CommandRunner, ExecOutput } from "../processes/command-runner.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { type GitCredentials, gitEnv, maskTokens } from "./credentials.js";

export interface GitRun {
  signal: AbortSignal;
  credentials?: GitCredentials | undefined;
  /** The request's token, blanked out of what git says, whether git got it or not. */
  token?: string | undefined;
  env?: Record<string, string>;
  stdin?: string;
  /** Called with each line of git's progress while it goes on. */
  onLine?: ((line: string) => void) | undefined;
}

/** Runs one git process in a space that the caller keeps awake, as the space's user; no shell. */
export class GitRunner {
  constructor(private readonly commands: Pick<CommandRunner, "run">) {}

  /** @returns what git said, with the token masked. Throws where it could not be started, or `signal` aborts. */
  async run(entry: SpaceEntry, args: readonly string[], options: GitRun): Promise<ExecResult> {
    const { credentials, signal, onLine, stdin } = options;
    const mask = (text: string) => maskTokens(text, options.token ?? credentials?.token);
    const env = { ...options.env, ...gitEnv(credentials) };
    const request = {
      command: ["git", ...args],
      env,
      ...(stdin === undefined ? {} : { stdin }),
    };
    const output = this.commands.run(entry, request, signal);
    const result = await captureExec(
      onLine ? tellLines(output, (line) => onLine(mask(line))) : output,
      {},
    );
    signal.throwIfAborted();
    return { ...result, stdout: mask(result.stdout), stderr: mask(result.stderr) };
  }
}

/** Passes output on, and tells of each line of stderr as soon as it is whole; a bare CR ends one too. */
async function* tellLines(
  output: AsyncIterable<ExecOutput>,
  onLine: (line: string) => void,
): AsyncGenerator<ExecOutput> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  const tell = (lines: string[]) => {
    for (const line of lines) if (line.trim() !== "") onLine(line.trimEnd());
  };
  for await (const each of output) {
    if (each.type === "stderr") {
      const lines = (rest + decoder.write(each.data)).split(/[\r\n]+/);
      rest = lines.pop() ?? "";
      tell(lines);
    }
    yield each;
  }
  tell([rest]);
}
