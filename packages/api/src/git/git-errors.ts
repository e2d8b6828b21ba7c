import { ClawdspaceError, type ErrorCode } from "@clawdspace/protocol";

const CONFLICTS = [
  /\((non-fast-forward|fetch first|stale info|needs force)\)/,
  /Not possible to fast-forward/,
  /would be overwritten by/,
  /[Yy]ou have unstaged changes|index contains uncommitted changes|local changes/,
  /CONFLICT \(|could not apply|fix conflicts|unmerged files/,
  /already exists and is not an empty directory|[Aa] branch named '.*' already exists/,
];
const CREDENTIALS = [
  /Authentication failed/,
  /could not read (Username|Password)/,
  /The requested URL returned error: (401|403)/,
  /Permission denied \(/,
  /Host key verification failed/,
];
const MISSING = [
  /not a git repository/,
  /cannot change to '.*': No such file or directory/,
  /pathspec '.*' did not match|is not a commit|invalid reference/,
  /Remote branch .* not found|couldn't find remote ref/,
];

/** Tells from git's own words what kind of failure one is; undefined where they are none of the known ones. */
export function kindOfFailure(
  stderr: string,
): Extract<ErrorCode, "git_conflict" | "git_auth_failed" | "not_found"> | undefined {
  const says = (patterns: RegExp[]) => patterns.some((pattern) => pattern.test(stderr));
  if (says(CREDENTIALS)) return "git_auth_failed";
  if (says(CONFLICTS)) return "git_conflict";
  return says(MISSING) ? "not_found" : undefined;
}

/** What to do about a failure, by its kind. */
const NEXT = {
  git_auth_failed: "Give a token that may do this.",
  git_conflict: "Take in what is there first, or commit, stash or move what is in the way.",
  not_found: "Look at the path, the remote and the branch.",
  unprocessable: "",
};

/** A failure of git in its own words. `what` says what could not be done, as a sentence. */
export function gitError(what: string, stderr: string, path?: string): ClawdspaceError {
  const code = kindOfFailure(stderr) ?? "unprocessable";
  const words = lastLines(stderr);
  const message = [`${what} git says: ${words}`, NEXT[code]].filter(Boolean).join("\n");
  return new ClawdspaceError(
    code,
    message,
    path === undefined ? {} : { issues: [{ path, message: words }] },
  );
}

const lastLines = (text: string) =>
  text
    .split(/[\r\n]+/)
    .filter((line) => line.trim() !== "")
    .slice(-5)
    .join("\n");
