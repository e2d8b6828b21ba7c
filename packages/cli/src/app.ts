import { Context } from "./context.js";
import { describe, EXIT } from "./failure.js";
import { Output } from "./output.js";
import { CommanderError, createProgram, type GlobalOptions, parserFailure } from "./program.js";
import { Servers } from "./servers.js";
import { firstLine } from "./stdin.js";
import { COMMANDS } from "./table.js";

/** Runs one command line and ends the process with its exit code. */
export async function main(args: string[]): Promise<void> {
  const interrupted = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    // The second Ctrl-C doesn't wait for anything.
    if (interrupted.signal.aborted) process.exit(EXIT.interrupted);
    interrupted.abort();
    void signal;
  };
  process.on("SIGINT", stop).on("SIGTERM", stop).on("SIGHUP", stop);
  // A reader that has seen enough, as in `… | head`, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.ok);
    throw error;
  });

  let out = new Output(wantsJson(args) ? "json" : "text", {
    colour: true,
    environment: process.env,
  });
  const start = async (options: GlobalOptions) => {
    const { server, profile, output = "text", keyStdin, color = true } = options;
    out = new Output(output, { colour: color, environment: process.env });
    const key = keyStdin ? await firstLine("the key") : undefined;
    const choice = { server, profile, key };
    let servers: Servers | undefined;
    const known = () => {
      servers ??= new Servers(choice, process.env);
      return servers;
    };
    return new Context(out, known, process.env, server, key, COMMANDS, interrupted);
  };
  let exitCode: number = EXIT.ok;
  try {
    const program = createProgram(COMMANDS, start, (code) => {
      exitCode = code;
    });
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
  } catch (error) {
    exitCode = tell(error, out);
  }
  await flushed();
  process.exit(exitCode);
}

function tell(thrown: unknown, out: Output): number {
  const error = thrown instanceof CommanderError ? parserFailure(thrown) : thrown;
  if (error === undefined) return EXIT.ok;
  const { message, code, hint, exitCode } = describe(error);
  out.progress("");
  if (out.isJson) {
    process.stderr.write(
      `${JSON.stringify({ error: message, code, ...(hint ? { hint } : {}) })}\n`,
    );
  } else if (code !== "interrupted") {
    process.stderr.write(`clawdspace: ${message}\n${hint ? `  ${hint}\n` : ""}`);
  }
  return exitCode;
}

/** Known before anything is parsed, so that what the parser refuses is told in the wanted form too. */
const wantsJson = (args: string[]) => {
  const end = args.indexOf("--");
  const own = end < 0 ? args : args.slice(0, end);
  return own.some((word, at) =>
    word === "-o" || word === "--output"
      ? own[at + 1] === "json"
      : /^(-o|--output=)json$/.test(word),
  );
};

/** Pipes take what is written to them in their own time. */
const flushed = () => new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
