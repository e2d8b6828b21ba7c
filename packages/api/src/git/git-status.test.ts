import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseStatus } from "./git-status.js";

const repo = mkdtempSync(join(tmpdir(), "clawdspace-git-"));
const identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
const git = (...args: string[]) =>
  execFileSync("git", ["-C", repo, ...identity, ...args], { stdio: "pipe" }).toString();
const status = () => parseStatus(git("status", "--porcelain=v2", "--branch", "-z"));

beforeAll(() => git("init", "-q", "-b", "main"));
afterAll(() => rmSync(repo, { recursive: true, force: true }));

it("reads a repository from its first commit on", () => {
  expect(status()).toEqual({ branch: "main", clean: true, files: [] });
  writeFileSync(join(repo, "a file with spaces"), "one\ntwo\nthree\n");
  writeFileSync(join(repo, 'quo"ted\nname'), "x");
  expect(status().files).toEqual([
    { path: "a file with spaces", index: "untracked", workTree: "untracked" },
    { path: 'quo"ted\nname', index: "untracked", workTree: "untracked" },
  ]);
  git("add", "-A");
  git("commit", "-q", "-m", "one");
  expect(status()).toMatchObject({ clean: true, head: git("rev-parse", "HEAD").trim() });
});

it("tells staged from unstaged, renames, deletions, conflicts and the upstream", () => {
  git("branch", "other");
  git("branch", "-q", "--set-upstream-to=other");
  renameSync(join(repo, "a file with spaces"), join(repo, "b"));
  git("add", "-A");
  writeFileSync(join(repo, "b"), "one\ntwo\nthree\nfour\n");
  rmSync(join(repo, 'quo"ted\nname'));
  expect(status()).toMatchObject({ upstream: "other", ahead: 0, behind: 0, clean: false });
  expect(status().files).toEqual([
    { path: "b", from: "a file with spaces", index: "renamed", workTree: "modified" },
    { path: 'quo"ted\nname', index: "unmodified", workTree: "deleted" },
  ]);
  git("commit", "-q", "-a", "-m", "two");
  expect(status()).toMatchObject({ ahead: 1, behind: 0 });
  git("checkout", "-q", "other");
  writeFileSync(join(repo, "a file with spaces"), "other\n");
  git("commit", "-q", "-a", "-m", "three");
  expect(() => git("merge", "main")).toThrow();
  expect(status().files).toContainEqual({
    path: expect.any(String),
    index: "unmerged",
    workTree: "unmerged",
  });
  git("merge", "--abort");
  git("checkout", "-q", "--detach");
  expect(status().branch).toBeUndefined();
});
