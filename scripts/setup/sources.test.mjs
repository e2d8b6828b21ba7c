import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { hashFiles, readFiles } from "./sources.mjs";

let root;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "clawdspace-sources-"));
  mkdirSync(join(root, "src/build"), { recursive: true });
  writeFileSync(join(root, "src/b.c"), "b");
  writeFileSync(join(root, "src/a.c"), "a", { mode: 0o755 });
  writeFileSync(join(root, "src/build/out"), "out");
  writeFileSync(join(root, "top"), "top");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

it("reads folders in a fixed order and leaves out what is skipped", () => {
  const files = readFiles(root, ["top", "src", "missing"], (path) => path === "src/build");
  expect(files.map(({ path, executable }) => [path, executable])).toEqual([
    ["top", false],
    ["src/a.c", true],
    ["src/b.c", false],
  ]);
});

it("hashes names, modes, contents and what else is given", () => {
  const file = { path: "a", content: Buffer.from("1"), executable: false };
  const hash = hashFiles([file]);
  expect(hashFiles([{ ...file }])).toBe(hash);
  expect(hashFiles([{ ...file, path: "b" }])).not.toBe(hash);
  expect(hashFiles([{ ...file, content: Buffer.from("2") }])).not.toBe(hash);
  expect(hashFiles([{ ...file, executable: true }])).not.toBe(hash);
  expect(hashFiles([file], "debian")).not.toBe(hash);
});
