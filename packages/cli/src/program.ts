import { Command, CommanderError } from "commander";
import type { Context } from "./context.js";
import { EXIT, usageError } from "./failure.js";
import { GLOBAL_OPTIONS } from "./global-options.js";
import { toOption } from "./option.js";
import type { CommandSpec, Run } from "./spec.js";

export interface GlobalOptions {
  server?: string;
  profile?: string;
  output?: "text" | "json";
  keyStdin?: boolean;
  color?: boolean;
}

/** The parser, made of the table. @param start makes a command's context of what was said for all commands */
export function createProgram(
  commands: CommandSpec[],
  start: (options: GlobalOptions) => Promise<Context>,
  onExit: (code: number) => void,
): Command {
  const program = new Command("clawdspace");
  program
    .description("Self-hosted sandboxes for AI agents, on machines you already own.")
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpCommand(false);
  const parents = new Map<string, Command>([["", program]]);
  for (const spec of commands) {
    const words = spec.name.split(" ");
    const last = words.pop() ?? "";
    const parent = parentOf(parents, words, commands);
    const command = parent.command(last, { hidden: spec.hidden === true });
    parents.set(spec.name, command);
    if (words.length === 0 && spec.group !== "") command.helpGroup(`${spec.group}:`);
    describe(command, spec);
    command.action(async (...given: unknown[]) => {
      const args = given.slice(0, spec.arguments?.length ?? 0);
      const { server, profile, output, keyStdin, color, ...own } = command.optsWithGlobals();
      const context = await start({ server, profile, output, keyStdin, color });
      const { run } = await spec.load();
      const code = await (run as unknown as LooseRun)(context, args, own);
      onExit(code ?? EXIT.ok);
    });
  }
  for (const option of GLOBAL_OPTIONS) program.addOption(toOption(option));
  program.option("-V, --version", "print this program's version");
  return program;
}

type LooseRun = (context: Context, args: unknown[], options: unknown) => ReturnType<Run>;

/** What stands before a command's last word: a command that tells of those below it. */
function parentOf(
  parents: Map<string, Command>,
  words: string[],
  commands: CommandSpec[],
): Command {
  const path = words.join(" ");
  const known = parents.get(path);
  if (known) return known;
  const below = commands.filter(({ name }) => name.startsWith(`${path} `));
  const names = below.map(({ name }) => name.slice(path.length + 1)).join(", ");
  const command = parentOf(parents, words.slice(0, -1), commands)
    .command(words.at(-1) ?? "")
    .summary(names)
    .description(`${path}: ${names}`)
    .helpGroup(`${below[0]?.group ?? ""}:`)
    .action(() => command.help());
  parents.set(path, command);
  return command;
}

function describe(command: Command, spec: CommandSpec): void {
  command.summary(spec.about);
  command.description([capital(spec.about), spec.details].filter(Boolean).join("\n\n"));
  for (const alias of spec.aliases ?? []) command.alias(alias);
  for (const { name, about } of spec.arguments ?? []) command.argument(name, about);
  for (const option of spec.options ?? []) command.addOption(toOption(option));
  // Options for all commands may stand after the command's name too; the help tells of them once.
  for (const option of GLOBAL_OPTIONS) {
    const own = toOption(option).hideHelp();
    const taken = command.options.some(
      ({ short, long }) => long === own.long || (short !== undefined && short === own.short),
    );
    if (!taken) command.addOption(own);
  }
  if (spec.passThrough) command.passThroughOptions();
  const examples = spec.examples ?? [];
  if (examples.length > 0) command.addHelpText("after", `\nExamples:\n  ${examples.join("\n  ")}`);
}

const capital = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

/** What the parser refused, as a usage error; help and such that it printed are no error. */
export function parserFailure(error: CommanderError): Error | undefined {
  if (error.exitCode === 0 || error.code === "commander.help") return undefined;
  return usageError(
    error.message.replace(/^error: /, ""),
    "`clawdspace --help` tells of all commands.",
  );
}

export { CommanderError };
