import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  escapeBytes,
  etagOf,
  parseFacts,
  parseListing,
  pathArguments,
  toGuestError,
} from "./engine-output.js";
import { EXIT } from "./engine-script.js";

const FACTS =
  "81a4 12 1001 1001 1 42 2026-11-22 20:36:21.123456789 +0000 2026-11-22 20:36:22.5 +0000";

describe("parseFacts", () => {
  it("reads what stat(1) says", () => {
    expect(parseFacts(FACTS)).toEqual({
      type: "file",
      size: 12,
      mtimeMs: Date.UTC(2026, 10, 22, 20, 36, 21, 123),
      mode: 0o644,
      uid: 1001,
      gid: 1001,
      nlink: 1,
      ino: 42n,
      etag: etagOf(FACTS),
    });
  });

  it.each([
    ["41ed", "dir"],
    ["a1ff", "symlink"],
    ["11a4", "other"],
    ["c1ed", "other"],
  ])("knows %s as %s", (mode, type) => {
    expect(parseFacts(FACTS.replace("81a4", mode)).type).toBe(type);
  });

  it("reads what find(1) says in its place", () => {
    const found = FACTS.replace("81a4", "=f644").replace("123456789", "1234567890");
    expect(parseFacts(found)).toEqual({ ...parseFacts(FACTS), etag: etagOf(found) });
    expect(parseFacts(FACTS.replace("81a4", "=l777")).type).toBe("symlink");
    expect(parseFacts(FACTS.replace("81a4", "=s755")).type).toBe("other");
  });

  it("takes times without a fraction", () => {
    expect(parseFacts(FACTS.replace(".123456789", "")).mtimeMs % 1000).toBe(0);
  });

  it("refuses what is none", () => {
    expect(() => parseFacts("sh: stat: not found")).toThrow("stat(1)");
  });
});

/** What find and stat print for these entries. */
const listingOf = (names: Buffer[], links: [Buffer, Buffer][] = []) =>
  Buffer.concat([
    ...links.map(([name, target]) =>
      Buffer.concat([Buffer.from("./"), name, Buffer.of(0), target, Buffer.of(0)]),
    ),
    Buffer.of(0),
    ...names.map((name) => Buffer.concat([Buffer.from(`/${FACTS}/./`), name, Buffer.from("\n")])),
  ]);

const nameArbitrary = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x0a : byte))))
  .filter((name) => name.toString("latin1") !== "." && name.toString("latin1") !== "..");

describe("parseListing", () => {
  it("gives every name back, whatever bytes it holds", () => {
    fc.assert(
      fc.property(fc.array(nameArbitrary, { maxLength: 12 }), (names) => {
        expect(parseListing(listingOf(names)).map(({ name }) => name)).toEqual(names);
      }),
      { numRuns: 500 },
    );
  });

  it("tells whole paths apart, though a folder's name looks like an entry", () => {
    const path = Buffer.from(`a\n/${FACTS}/b`);
    expect(parseListing(listingOf([path, Buffer.from("c")])).map(({ name }) => `${name}`)).toEqual([
      `${path}`,
      "c",
    ]);
  });

  it("tells the targets of symlinks", () => {
    const name = Buffer.from("l\nk");
    const [entry] = parseListing(listingOf([name], [[name, Buffer.from("../to\n")]]));
    expect(entry?.target?.toString()).toBe("../to\n");
  });

  it("finds nothing in an empty folder, and refuses a listing that breaks off", () => {
    expect(parseListing(Buffer.of(0))).toEqual([]);
    expect(() => parseListing(Buffer.from("./a"))).toThrow("breaks off");
  });
});

describe("escapeBytes", () => {
  it("leaves only what a shell's printf turns back", () => {
    expect(escapeBytes(Buffer.from("a b\n'\\%/é-"))).toBe(
      "a\\0040b\\0012\\0047\\0134\\0045/\\0303\\0251-",
    );
  });

  it.each([
    ["a/b/c", ["a/b", "c"]],
    ["c", [".", "c"]],
    [".", [".", "."]],
  ])("divides %s into folder and name", (path, parts) => {
    expect(pathArguments(Buffer.from(path))).toEqual(parts);
  });
});

describe("toGuestError", () => {
  it.each([
    [EXIT.outside, "", "outside"],
    [EXIT.precondition, "", "precondition"],
    [1, "cat: write error: No space left on device", "no_space"],
    [1, "sh: can't create x: Permission denied", "permission"],
    [1, "mv: cannot move a to b: Directory not empty", "not_empty"],
    [127, "sh: not found", "unsupported"],
    [1, "something new", "io"],
  ])("%s %j is %s", (exitCode, stderr, code) => {
    expect(toGuestError(exitCode, stderr).code).toBe(code);
  });
});
