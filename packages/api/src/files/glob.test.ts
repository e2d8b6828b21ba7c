import { describe, expect, it } from "vitest";
import { globMatcher } from "./glob.js";

describe("globMatcher", () => {
  it.each([
    ["*.ts", "a/b.ts", true],
    ["*.ts", "a/b.tsx", false],
    ["*.ts", ".x.ts", true],
    ["src/**/*.ts", "src/a/b/c.ts", true],
    ["src/**/*.ts", "src/c.ts", true],
    ["src/*.ts", "src/a/c.ts", false],
    ["/src/*.ts", "src/c.ts", true],
    ["{a,b}.md", "b.md", true],
    ["**", "a/b", true],
    ["[", "[", true],
    ["a\nb", "a\nb", true],
  ])("%j on %j: %s", (glob, path, matches) => {
    expect(globMatcher(glob, true)([path])).toEqual([matches]);
  });

  it("leaves hidden names out where asked to", () => {
    expect(globMatcher("*.ts", false)([".x.ts", "x.ts"])).toEqual([false, true]);
  });

  it("gives up on a glob that would take for ever", () => {
    expect(() => globMatcher("*a*a*a*a*a*a*a*a*b", true)(["a".repeat(255)])).toThrow("too long");
  });
});
