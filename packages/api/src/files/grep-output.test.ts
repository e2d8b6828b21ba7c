import { describe, expect, it } from "vitest";
import { GrepMatches, Records, toRipgrepMatch } from "./grep-output.js";

describe("Records", () => {
  it("joins what comes in pieces", () => {
    const records = new Records();
    expect([...records.add(Buffer.from("ab"))]).toEqual([]);
    expect([...records.add(Buffer.from("c\n\nd\ne"))].map(String)).toEqual(["abc", "", "d"]);
    expect([...records.add(Buffer.from("\n"))].map(String)).toEqual(["e"]);
  });

  it("passes over a line that is too long, and goes on behind it", () => {
    const records = new Records();
    for (let n = 0; n < 40; n++) expect([...records.add(Buffer.alloc(64 * 1024, "x"))]).toEqual([]);
    expect([...records.add(Buffer.from("x\nshort\n"))].map(String)).toEqual(["short"]);
  });
});

const rg = (data: unknown, type = "match") =>
  toRipgrepMatch(Buffer.from(JSON.stringify({ type, data })));

describe("toRipgrepMatch", () => {
  it("reads text and bytes", () => {
    expect(rg({ path: { text: "./a/b" }, lines: { text: "foo bar\n" }, line_number: 3 })).toEqual({
      path: Buffer.from("a/b"),
      line: 3,
      text: "foo bar",
    });
    const bytes = Buffer.from([0x2e, 0x2f, 0xff]).toString("base64");
    const match = rg({ path: { bytes }, lines: { bytes: "/2YK" }, line_number: 1 });
    expect(match).toEqual({ path: Buffer.of(0xff), line: 1, text: "\ufffdf" });
  });

  it("knows a file that was searched by its stdin", () => {
    const match = rg({ path: { text: "<stdin>" }, lines: { text: "x" }, line_number: 1 });
    expect(match?.path).toBeUndefined();
  });

  it("passes over all else, and what is no JSON", () => {
    expect(rg({}, "begin")).toBeUndefined();
    expect(rg({ path: { text: "a" }, lines: { text: "b" }, line_number: -1 })).toBeUndefined();
    expect(toRipgrepMatch(Buffer.from("{"))).toBeUndefined();
  });

  it("cuts long lines", () => {
    const text = "y".repeat(10_000);
    expect(rg({ path: { text: "a" }, lines: { text }, line_number: 1 })?.text).toHaveLength(4096);
  });
});

describe("GrepMatches", () => {
  const all = (output: string) => {
    const { next } = new GrepMatches();
    return [...new Records().add(Buffer.from(output))]
      .map(next)
      .filter((each) => each !== undefined);
  };

  it("reads names with newlines and colons, and lines with colons", () => {
    expect(all("./a:1:b\x002:x:y\n./new\nline\x007:z\n./c\x001:\n")).toEqual([
      { path: Buffer.from("a:1:b"), line: 2, text: "x:y" },
      { path: Buffer.from("new\nline"), line: 7, text: "z" },
      { path: Buffer.from("c"), line: 1, text: "" },
    ]);
  });

  it("passes over lines of binary files", () => {
    expect(all("./a\x001:x\0y\n./b\x002:z\n")).toEqual([
      { path: Buffer.from("b"), line: 2, text: "z" },
    ]);
  });
});
