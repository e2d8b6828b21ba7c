import type { GitChange, GitStatus } from "@clawdspace/protocol";

const MAX_FILES = 10_000;

const CHANGES: Record<string, GitChange> = {
  ".": "unmodified",
  M: "modified",
  T: "type_changed",
  A: "added",
  D: "deleted",
  R: "renamed",
  C: "copied",
  U: "unmerged",
};
const changeOf = (letter = ".") => CHANGES[letter] ?? "modified";

/** Reads what `git status --porcelain=v2 --branch -z` prints. */
export function parseStatus(output: string): Omit<GitStatus, "repoPath"> {
  const status: Omit<GitStatus, "repoPath"> = { clean: true, files: [] };
  const records = output.split("\0");
  for (let at = 0; at < records.length; at++) {
    const record = records[at] ?? "";
    const kind = record[0];
    if (kind === "#") {
      readHeader(status, record);
      continue;
    }
    const file = kind === undefined ? undefined : readFile(kind, record);
    if (!file) continue;
    // A renamed or copied file's old name is a record of its own.
    const from = kind === "2" ? records[++at] : undefined;
    status.clean = false;
    if (status.files.length === MAX_FILES) status.truncated = true;
    else status.files.push(from === undefined ? file : { ...file, from });
  }
  return status;
}

function readHeader(status: Omit<GitStatus, "repoPath">, record: string): void {
  const [, name, ...rest] = record.split(" ");
  const value = rest.join(" ");
  if (name === "branch.oid" && value !== "(initial)") status.head = value;
  if (name === "branch.head" && value !== "(detached)") status.branch = value;
  if (name === "branch.upstream") status.upstream = value;
  const counts = name === "branch.ab" ? /^\+(\d+) -(\d+)$/.exec(value) : null;
  if (!counts) return;
  status.ahead = Number(counts[1]);
  status.behind = Number(counts[2]);
}

/** Fields stand between a record's path and its start: so many, by its kind. */
const FIELDS: Record<string, number> = { "1": 8, "2": 9, u: 10 };

function readFile(kind: string, record: string): GitStatus["files"][number] | undefined {
  if (kind === "?") return { path: record.slice(2), index: "untracked", workTree: "untracked" };
  const count = FIELDS[kind];
  if (count === undefined) return undefined;
  const fields = record.split(" ");
  const path = fields.slice(count).join(" ");
  if (kind === "u") return { path, index: "unmerged", workTree: "unmerged" };
  const [index, workTree] = fields[1] ?? "";
  return { path, index: changeOf(index), workTree: changeOf(workTree) };
}
