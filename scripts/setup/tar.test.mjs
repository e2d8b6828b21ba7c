import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { packTar } from "./tar.mjs";

const file = (path, text, executable = false) => ({ path, content: Buffer.from(text), executable });

it("packs what tar unpacks: names, modes and contents of any length", () => {
  const long = "x".repeat(1025);
  const archive = packTar([
    file("docker/run.sh", "#!/bin/sh\n", true),
    file("empty", ""),
    file("block", "y".repeat(512)),
    file("long", long),
  ]);
  const list = execFileSync("tar", ["-tvf", "-"], { input: archive }).toString().trim().split("\n");
  expect(list.map((line) => [line.slice(0, 10), line.split(" ").pop()])).toEqual([
    ["-rwxr-xr-x", "docker/run.sh"],
    ["-rw-r--r--", "empty"],
    ["-rw-r--r--", "block"],
    ["-rw-r--r--", "long"],
  ]);
  const content = execFileSync("tar", ["-xOf", "-", "long"], { input: archive }).toString();
  expect(content).toBe(long);
});

it("gives the same bytes for the same files", () => {
  expect(packTar([file("a", "1")]).equals(packTar([file("a", "1")]))).toBe(true);
});

it("refuses a path that does not fit", () => {
  expect(() => packTar([file("a".repeat(101), "")])).toThrow(RangeError);
});
