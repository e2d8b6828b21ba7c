import { describe, expect, it } from "vitest";
import { gitError, kindOfFailure } from "./git-errors.js";

const REJECTED = `To https://git.example/a.git
 ! [rejected]        main -> main (fetch first)
error: failed to push some refs to 'https://git.example/a.git'`;

describe("kindOfFailure", () => {
  it.each([
    [REJECTED, "git_conflict"],
    [REJECTED.replace("fetch first", "non-fast-forward"), "git_conflict"],
    ["fatal: Not possible to fast-forward, aborting.", "git_conflict"],
    [
      "error: Your local changes to the following files would be overwritten by checkout:\n\ta",
      "git_conflict",
    ],
    ["error: cannot rebase: You have unstaged changes.", "git_conflict"],
    ["CONFLICT (content): Merge conflict in a", "git_conflict"],
    ["fatal: Authentication failed for 'https://git.example/a.git/'", "git_auth_failed"],
    [
      "fatal: could not read Username for 'https://git.example': terminal prompts disabled",
      "git_auth_failed",
    ],
    [
      "fatal: unable to access 'https://x/': The requested URL returned error: 403",
      "git_auth_failed",
    ],
    ["git@github.com: Permission denied (publickey).", "git_auth_failed"],
    ["fatal: not a git repository (or any of the parent directories): .git", "not_found"],
    ["error: pathspec 'no-such' did not match any file(s) known to git", "not_found"],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 500", undefined],
    [" ! [remote rejected] main -> main (pre-receive hook declined)", undefined],
  ])("%s", (stderr, kind) => {
    expect(kindOfFailure(stderr)).toBe(kind);
  });
});

it("says what git said last, and what to do", () => {
  const error = gitError("It could not be pushed.", `one\r\ntwo\n${REJECTED}`, "url");
  expect(error).toMatchObject({ code: "git_conflict", status: 409 });
  expect(error.message).toContain("(fetch first)");
  expect(error.message).toContain("Take in what is there first");
  expect(error.issues?.[0]).toMatchObject({ path: "url" });
});
