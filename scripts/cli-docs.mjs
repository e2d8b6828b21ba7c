// docs/CLI.md, from the table of commands that the parser is made of. `--check` only says whether it is current.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GLOBAL_OPTIONS } from "../packages/cli/dist/global-options.js";
import { COMMANDS } from "../packages/cli/dist/table.js";
import { ROOT } from "./setup/sources.mjs";

const FILE = join(ROOT, "docs/CLI.md");
const shown = COMMANDS.filter(({ hidden }) => !hidden);
const capital = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
const cell = (text) => text.replaceAll("|", "\\|");

function options(specs) {
  if (specs.length === 0) return [];
  const rows = specs.map(({ flags, about, choices, repeats }) => {
    const values = choices && !about.includes(choices[0]) ? ` (${choices.join(", ")})` : "";
    return `| \`${cell(flags)}\` | ${cell(about)}${values}${repeats ? "; may be given again" : ""} |`;
  });
  return ["", "| Option | |", "|---|---|", ...rows];
}

function section({
  name,
  about,
  aliases = [],
  arguments: args = [],
  options: own = [],
  details,
  examples = [],
}) {
  const usage = [
    "clawdspace",
    name,
    ...(own.length > 0 ? ["[options]"] : []),
    ...args.map((each) => each.name),
  ];
  const told = args
    .filter((each) => each.about !== "")
    .map((each) => `\`${each.name}\`: ${each.about}`);
  return [
    `### ${name}`,
    "",
    `    ${usage.join(" ")}`,
    "",
    [capital(about), aliases.length > 0 ? `Also: \`${aliases.join("`, `")}\`.` : ""]
      .join(" ")
      .trim(),
    ...(told.length > 0 ? ["", `${told.join("; ")}.`] : []),
    ...(details ? ["", details] : []),
    ...options(own),
    ...(examples.length > 0 ? ["", "```sh", ...examples, "```"] : []),
    "",
  ].join("\n");
}

const groups = [...new Set(shown.map(({ group }) => group))];
const text = `# The command line

Made from the table of commands by \`npm run docs\`; don't edit it.

\`npm install -g ./packages/cli/build/package\` puts it on the PATH of a machine with a clone; elsewhere the
[package](SETUP.md#as-a-package) brings it, with the daemon. A space is looked for on every known server unless \`--server\` names one.
The key is CLAWDSPACE_KEY, or piped in with \`--key-stdin\`, or the profile's, or the old client's \`~/.clawdspace\`, or, for a
daemon on this machine, the one that it keeps; never an argument, which every user of the machine could see. Profiles are in
\`~/.config/clawdspace/cli.json\`, mode 0600; CLAWDSPACE_SERVER and CLAWDSPACE_PROFILE choose among servers.

Results go to stdout and everything else to stderr; with \`-o json\` stdout is JSON alone, and so is an error on stderr. Exit
codes: 0, 1 for a failure, 2 for a command line that can't be understood, 124 for a time-out, 130 after Ctrl-C, and for
\`exec\` and \`shell\` the command's own.

## For every command
${options(GLOBAL_OPTIONS).join("\n")}

${groups
  .map((group) => {
    const sections = shown.filter((spec) => spec.group === group).map(section);
    return `## ${group}\n\n${sections.join("\n")}`;
  })
  .join("\n")}`;

const current = `${text.trimEnd()}\n`;
if (process.argv.includes("--check")) {
  if (!existsSync(FILE) || readFileSync(FILE, "utf8") !== current) {
    console.error("docs/CLI.md is not what the commands say. Run: npm run docs");
    process.exit(1);
  }
} else writeFileSync(FILE, current);
