import type { OptionSpec } from "./spec.js";

/** Options that every command takes. */
export const GLOBAL_OPTIONS: OptionSpec[] = [
  {
    flags: "-S, --server <server>",
    about: "ask this server: an address, a profile's name or a node's",
    completes: "server",
  },
  { flags: "--profile <name>", about: "use this profile of the config file" },
  { flags: "-o, --output <format>", about: "text or json", choices: ["text", "json"] },
  { flags: "--key-stdin", about: "read the API key from the first line of stdin" },
  { flags: "--no-color", about: "no colours (NO_COLOR does the same)" },
];
