import { readFileSync } from "node:fs";
import type { Outcome } from "./actions/call.js";
import type { Action } from "./parameters.js";

/** What of the host's own command library is used: a command of commander. */
export interface CliCommand {
  command(name: string): CliCommand;
  description(text: string): CliCommand;
  option(flags: string, text: string): CliCommand;
  action(run: (...given: unknown[]) => Promise<void>): CliCommand;
}

export const CLI_DESCRIPTION = "Spaces of Clawdspace: isolated machines for agents";

type Params = Record<string, unknown>;
interface Subcommand {
  /** As commander reads it: words, then arguments. */
  usage: string;
  text: string;
  action: Action;
  options?: [flags: string, text: string][];
  /** From the arguments and options to the tool's parameters. Default: the arguments by their names. */
  params?(args: string[], options: Params): Params;
}

const FILES: Subcommand[] = [
  { usage: "ls <space> [path]", text: "Lists a folder", action: "files_list" },
  { usage: "get <space> <path>", text: "Prints a file", action: "files_get" },
  {
    ...{ usage: "put <space> <path> <file>", text: "Writes a local file", action: "files_put" },
    params: ([space, path, file = ""]) => ({ space, path, content: readFileSync(file, "utf8") }),
  },
];
const TEMPLATES: Subcommand[] = [
  { usage: "ls", text: "Lists the templates", action: "templates_list" },
  { usage: "get <name>", text: "Prints a template", action: "templates_get" },
  {
    ...{ usage: "put <file>", text: "Makes or replaces a template", action: "templates_put" },
    params: ([file = ""]) => ({ yaml: readFileSync(file, "utf8") }),
  },
  { usage: "rm <name>", text: "Removes a template", action: "templates_delete" },
];
const SUBCOMMANDS: Subcommand[] = [
  { usage: "health", text: "Tells whether the daemon answers", action: "health" },
  { usage: "system", text: "Tells of the daemon's machine", action: "system" },
  { usage: "capabilities", text: "Tells what the machine can do", action: "capabilities" },
  { usage: "nodes", text: "Lists the nodes of the fleet", action: "nodes" },
  { usage: "spaces", text: "Lists the spaces", action: "list_spaces" },
  { usage: "list", text: "Lists the spaces", action: "list_spaces" },
  { usage: "stats <space>", text: "Tells what a space uses", action: "space_stats" },
  { usage: "status <space>", text: "Tells what goes on in a space", action: "space_observability" },
  {
    ...{ usage: "observability <space>", text: "As status" },
    action: "space_observability",
  },
  { usage: "audit [space]", text: "Shows the newest of the audit log", action: "audit" },
  {
    ...{ usage: "create <name>", text: "Makes a space", action: "create_space" },
    options: [["--template <template>", "What it is made from"]],
    params: ([name], { template }) => ({ name, template }),
  },
  { usage: "start <space>", text: "Wakes a space", action: "start_space" },
  { usage: "stop <space>", text: "Pauses a space", action: "stop_space" },
  ...(["destroy", "rm"] as const).map(
    (word): Subcommand => ({
      ...{ usage: `${word} <space>`, text: "Removes a space", action: "destroy_space" },
      options: [["--volume", "Its files too"]],
      params: ([space], { volume }) => ({ space, removeVolume: volume === true }),
    }),
  ),
  {
    ...{ usage: "exec <space> <command...>", text: "Runs a command", action: "exec" },
    params: ([space, ...words]) => ({ space, command: words.join(" ") }),
  },
];

/** The host's own subcommand `clawdspace`: the tool's actions for people, with the plugin's settings and lists. */
export function addCli(program: CliCommand, run: (params: Params) => Promise<Outcome>): void {
  const root = program.command("clawdspace").description(CLI_DESCRIPTION);
  addAll(root, SUBCOMMANDS, run);
  addAll(root.command("files").description("Files of a space"), FILES, run);
  addAll(root.command("templates").description("Templates of spaces"), TEMPLATES, run);
}

function addAll(
  parent: CliCommand,
  subcommands: Subcommand[],
  run: (params: Params) => Promise<Outcome>,
): void {
  for (const { usage, text, action, options = [], params } of subcommands) {
    const command = parent.command(usage).description(text);
    const names = [...usage.matchAll(/[<[](\w+)/g)].map(([, name = ""]) => name);
    for (const option of [...options, NODE, JSON_OUT]) command.option(...option);
    command.action(async (...given) => {
      // Commander hands over each argument, then the options, then the command.
      const args = given.slice(0, names.length);
      const chosen = given[names.length] as Params;
      const named = Object.fromEntries(names.map((name, at) => [name, args[at]]));
      const wanted = params?.(args.flat() as string[], chosen) ?? named;
      try {
        const outcome = await run({ ...wanted, node: chosen.node, action });
        print(outcome, chosen.json === true);
      } catch (error) {
        process.stderr.write(`clawdspace: ${error instanceof Error ? error.message : error}\n`);
        process.exitCode = 1;
      }
    });
  }
}

const NODE: [string, string] = ["--node <node>", "A node of the fleet"];
const JSON_OUT: [string, string] = ["--json", "Prints JSON"];

function print({ content, data }: Outcome, asJson: boolean): void {
  const ran = data as { exitCode?: number; stdout?: string; stderr?: string };
  const isRun = typeof ran.stdout === "string" && typeof ran.stderr === "string";
  if (isRun) process.exitCode = ran.exitCode ?? 0;
  if (asJson) process.stdout.write(`${JSON.stringify(data)}\n`);
  else if (isRun) {
    process.stdout.write(ran.stdout ?? "");
    process.stderr.write(ran.stderr ?? "");
  } else {
    const text = content.map((each) => (each.type === "text" ? each.text : "(an image)")).join("");
    process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
  }
}
