import { posix } from "node:path";
import { rooted, toPlace } from "./args.js";
import type { Context } from "./context.js";
import { GLOBAL_OPTIONS } from "./global-options.js";
import type { CommandSpec, Completes, OptionSpec } from "./spec.js";

/** The shell knows local files better. */
export const FILES = ":files";

/** What may stand where the cursor is. @param line all of the command line before it */
export async function candidates(line: string, context: Context): Promise<string[] | typeof FILES> {
  const { commands } = context;
  const words = line.split(/\s+/).slice(1);
  const typed = words.pop() ?? "";
  const { spec, rest } = commandOf(commands, words);
  const fitting = (all: string[]) => all.filter((each) => each.startsWith(typed));
  const options = [...(spec?.options ?? []), ...GLOBAL_OPTIONS];
  const before = options.find(
    (option) => takesValue(option) && flagsOf(option).includes(words.at(-1) ?? ""),
  );
  if (before) {
    if (before.choices) return fitting(before.choices);
    return before.completes ? await named(before.completes, typed, context) : FILES;
  }
  if (typed.startsWith("-"))
    return fitting(options.flatMap(flagsOf).filter((flag) => flag.startsWith("--")));
  if (!spec) return fitting(nextWords(commands, words));
  if (spec.passThrough && rest.length > 1) return FILES;
  const given = positionals(rest, options).length;
  const last = spec.arguments?.at(-1);
  const argument = spec.arguments?.[given] ?? (last?.name.includes("...") ? last : undefined);
  const own = argument?.completes ? await named(argument.completes, typed, context) : [];
  if (own === FILES || given > 0) return own;
  return [...own, ...fitting(nextWords(commands, words))];
}

function commandOf(
  commands: CommandSpec[],
  words: string[],
): { spec?: CommandSpec; rest: string[] } {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const spec = commands.find((each) => each.name === name || each.aliases?.includes(name));
    if (spec && words.length >= length) return { spec, rest: words.slice(length) };
  }
  return { rest: words };
}

/** Words that commands have after these. */
function nextWords(commands: CommandSpec[], words: string[]): string[] {
  const start = words.length === 0 ? "" : `${words.join(" ")} `;
  const shown = commands.filter(({ name, hidden }) => !hidden && name.startsWith(start));
  return [...new Set(shown.map(({ name }) => name.slice(start.length).split(" ")[0] ?? ""))];
}

const flagsOf = (option: OptionSpec) =>
  option.flags.split(/[ ,]+/).filter((word) => word.startsWith("-"));
const takesValue = (option: OptionSpec) => option.flags.includes("<");

function positionals(words: string[], options: OptionSpec[]): string[] {
  const valued = options.filter(takesValue).flatMap(flagsOf);
  return words.filter((word, at) => !word.startsWith("-") && !valued.includes(words[at - 1] ?? ""));
}

async function named(
  what: Completes,
  typed: string,
  context: Context,
): Promise<string[] | typeof FILES> {
  const fitting = (all: string[]) => all.filter((each) => each.startsWith(typed));
  if (what === "file") return FILES;
  if (what === "server")
    return fitting(
      context
        .servers()
        .configured()
        .map(({ name }) => name),
    );
  const clawdspace = await context.clawdspace();
  if (what === "template")
    return fitting((await clawdspace.templates.list()).map(({ name }) => name));
  const place = what === "place" ? toPlace(typed) : undefined;
  if (place) return await below(typed, place, context);
  const names = (await clawdspace.spaces.list()).map(({ name }) => name);
  if (what === "space") return fitting(names);
  const places = fitting(names.map((name) => `${name}:`));
  return places.length > 0 ? places : FILES;
}

async function below(typed: string, place: { name: string; path: string }, context: Context) {
  const folder = place.path.endsWith("/") ? place.path : posix.dirname(place.path);
  const { entries } = await context
    .clawdspace()
    .then((client) => client.space(place.name).files.list(folder));
  const start = typed.slice(0, typed.lastIndexOf("/") + 1) || `${place.name}:`;
  return entries
    .map(({ name, type }) => `${start}${name}${type === "dir" ? "/" : ""}`)
    .filter((each) => each.startsWith(typed) || rooted(each).startsWith(place.path));
}
