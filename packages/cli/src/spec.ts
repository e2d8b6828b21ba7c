import type { Context } from "./context.js";

/** What runs a command. Gives the exit code where it is not 0. */
export type Run = (context: Context, args: never, options: never) => Promise<number | undefined>;

/** What the shell can complete an argument with. */
export type Completes = "space" | "template" | "server" | "file" | "place";

export interface ArgumentSpec {
  /** As commander writes it: "<name>", "[path]", "[command...]". */
  name: string;
  about: string;
  completes?: Completes;
}

export interface OptionSpec {
  flags: string;
  about: string;
  completes?: Completes;
  /** Given more than once, it is a list. */
  repeats?: boolean;
  choices?: string[];
  hidden?: boolean;
}

/** One command: what the parser, the help, the completion and docs/CLI.md know of it. */
export interface CommandSpec {
  /** Words with a space between: "templates get". */
  name: string;
  about: string;
  group: string;
  arguments?: ArgumentSpec[];
  options?: OptionSpec[];
  /** More on it, for docs/CLI.md and its own help. */
  details?: string;
  examples?: string[];
  aliases?: string[];
  /** What stands after the first argument is not ours to parse. */
  passThrough?: boolean;
  hidden?: boolean;
  load: () => Promise<{ run: Run }>;
}
