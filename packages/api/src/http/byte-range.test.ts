import { describe, expect, it } from "vitest";
import { byteRange } from "./byte-range.js";
import { etagHeader, etagsOf } from "./conditions.js";

describe("byteRange", () => {
  it.each([
    ["bytes=0-0", { start: 0, end: 1 }],
    ["bytes=2-4", { start: 2, end: 5 }],
    ["bytes=5-", { start: 5, end: 10 }],
    ["bytes=-3", { start: 7, end: 10 }],
    ["bytes=-30", { start: 0, end: 10 }],
    ["bytes=8-99", { start: 8, end: 10 }],
    ["bytes=0-1,4-5", undefined],
    ["lines=1-2", undefined],
    ["nonsense", undefined],
    [undefined, undefined],
  ])("%s of ten bytes is %j", (header, range) => {
    expect(byteRange(header, 10)).toEqual(range);
  });

  it.each(["bytes=10-", "bytes=99-100"])("%s of ten bytes can't be had", (header) => {
    expect(() => byteRange(header, 10)).toThrow("outside the 10 bytes");
  });

  it("finds no range in what is empty", () => {
    expect(() => byteRange("bytes=0-", 0)).toThrow("outside");
  });
});

describe("etags", () => {
  it.each([
    ['"a"', ["a"]],
    ['"a", W/"b" ,c', ["a", "b", "c"]],
    ["*", "*"],
    [undefined, undefined],
  ])("%s names %j", (header, etags) => {
    expect(etagsOf(header)).toEqual(etags);
  });

  it("go into a header only where one can carry them", () => {
    expect(etagHeader("a.b")).toEqual({ etag: '"a.b"' });
    expect(etagHeader('a"b')).toEqual({});
    expect(etagHeader("a\r\nx: y")).toEqual({});
    expect(etagHeader(undefined)).toEqual({});
  });
});
