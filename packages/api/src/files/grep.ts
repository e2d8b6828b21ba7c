import type { GrepAnswer } from "@clawdspace/protocol";
import { ClawdspaceError } from "@clawdspace/protocol";
import type { CommandRunner } from "../processes/command-runner.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { pathArguments, toGuestError } from "./engine-output.js";
import { SCRIPT_PRELUDE } from "./engine-script.js";
import { GrepMatches, type Match, Records, toRipgrepMatch } from "./grep-output.js";
import type { WorkspacePath } from "./workspace-path.js";

const TIMEOUT_MS = 30_000;
const MAX_STDERR_BYTES = 4096;

export interface GrepRequest {
  pattern: string;
  literal?: boolean | undefined;
  ignoreCase?: boolean | undefined;
  glob?: string | undefined;
  limit: number;
  signal: AbortSignal;
}

/**
 * Runs a program in a folder, or with an opened file as its stdin, neither of which can be swapped for what lies outside
 * the workspace. What the program finds below the folder it opens by itself, as the space's user and no more.
 */
const SCRIPT = `${SCRIPT_PRELUDE}
export LC_ALL=C.UTF-8
bytes "$1"; first=$text
bytes "$2"; name=$text
shift 2
enter "$first"
if folder "./$name"; then enter "$first/$name"; exec "$@" .; fi
open_file "./$name"
if [ -d /proc/self/fd/3 ]; then enter "$first/$name"; exec "$@" .; fi
exec "$@" - <&3
`;

/** BusyBox's grep neither ends a name with NUL nor takes --include. */
const EACH_FILE = `
name=$1 flags=$2 pattern=$3
if [ "$4" = - ]; then
  grep -n $flags -e "$pattern" |
    while IFS= read -r line; do printf "(standard input)\\0%s\\n" "$line"; done
  exit
fi
exec find . -type f -name "$name" -exec sh -c '
  flags=$1 pattern=$2; shift 2
  for file; do
    grep -n $flags -e "$pattern" -- "$file" 2>/dev/null |
      while IFS= read -r line; do printf "%s\\0%s\\n" "$file" "$line"; done
  done' sh "$flags" "$pattern" {} +
`;

interface Program {
  engine: GrepAnswer["engine"];
  argv: string[];
  /** What a line of its output tells. */
  toMatch: (record: Buffer) => Match | undefined;
  /** Whether the program isn't there, or not as it is needed. */
  isMissing: (exitCode: number, stderr: string) => boolean;
}

/** Searches below a folder, or in a file, by ripgrep where the space has it, else by grep. Binary files are passed over. */
export async function grep(
  commands: CommandRunner,
  entry: SpaceEntry,
  place: WorkspacePath,
  request: GrepRequest,
): Promise<GrepAnswer> {
  for (const program of programs(request)) {
    const answer = await run(commands, entry, place, request, program);
    if (answer) return answer;
  }
  throw new ClawdspaceError(
    "unprocessable",
    "The space's image has neither ripgrep nor grep. Install one of them in the space.",
  );
}

function programs({ pattern, literal, ignoreCase, glob }: GrepRequest): Program[] {
  const kind = literal ? "-F" : "-E";
  const cased = ignoreCase ? ["-i"] : [];
  const missing = (exitCode: number) => exitCode === 127 || exitCode === 126;
  return [
    {
      engine: "ripgrep",
      argv: [
        ...["rg", "--json", "--no-config", "--no-messages", "--hidden", "--no-ignore"],
        ...(literal ? ["-F"] : []),
        ...cased,
        ...(glob ? [`--glob=${glob}`] : []),
        ...["-e", pattern, "--"],
      ],
      toMatch: toRipgrepMatch,
      isMissing: missing,
    },
    {
      engine: "grep",
      argv: [
        ...["grep", "-rnHIsZ", kind, ...cased, ...(glob ? [`--include=${glob}`] : [])],
        ...["-e", pattern, "--"],
      ],
      toMatch: new GrepMatches().next,
      isMissing: (exitCode, stderr) =>
        missing(exitCode) || /(invalid|unrecognized) option/.test(stderr),
    },
    {
      engine: "grep",
      argv: ["sh", "-c", EACH_FILE, "sh", glob ?? "*", [kind, ...cased].join(" "), pattern],
      toMatch: new GrepMatches().next,
      isMissing: missing,
    },
  ];
}

/** undefined where the program is missing. */
async function run(
  commands: CommandRunner,
  entry: SpaceEntry,
  place: WorkspacePath,
  { limit, signal }: GrepRequest,
  program: Program,
): Promise<GrepAnswer | undefined> {
  const command = ["sh", "-c", SCRIPT, "sh", ...pathArguments(place.bytes), ...program.argv];
  const records = new Records();
  const matches: GrepAnswer["matches"] = [];
  let stderr = "";
  for await (const each of commands.run(entry, { command, timeoutMs: TIMEOUT_MS }, signal)) {
    if (each.type === "exit") {
      if (program.isMissing(each.exitCode, stderr)) return undefined;
      if (each.exitCode >= 40 && each.exitCode < 50) throw toGuestError(each.exitCode, stderr);
      if (each.exitCode > 1 && matches.length === 0 && !each.timedOut) throw refused(stderr);
      return { matches, truncated: each.timedOut, engine: program.engine };
    }
    if (each.type === "stderr") {
      stderr = (stderr + each.data.toString("utf8")).slice(0, MAX_STDERR_BYTES);
      continue;
    }
    if (each.type !== "stdout") continue;
    for (const record of records.add(each.data)) {
      const match = program.toMatch(record);
      if (!match) continue;
      if (matches.length === limit) return { matches, truncated: true, engine: program.engine };
      const { path, ...found } = match;
      matches.push({ ...(path ? below(place, path) : place).toFields(), ...found });
    }
  }
  throw new Error("the search ended without an exit");
}

const below = (folder: WorkspacePath, path: Buffer) => folder.join(path);

function refused(stderr: string): ClawdspaceError {
  const why = stderr.trim().slice(0, 500) || "no reason was given";
  return new ClawdspaceError("invalid_request", `The pattern can't be searched for. ${why}`, {
    issues: [{ path: "pattern", message: why }],
  });
}
