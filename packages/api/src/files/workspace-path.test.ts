import { ClawdspaceError } from "@clawdspace/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WorkspacePath } from "./workspace-path.js";

const of = (path: string) => WorkspacePath.of({ path });

describe("WorkspacePath", () => {
  it.each([
    ["/a.txt", "a.txt", "/a.txt"],
    ["a/b", "a/b", "/a/b"],
    ["//a//b/", "a/b", "/a/b"],
    ["/./a/./b/.", "a/b", "/a/b"],
    ["", ".", "/"],
    ["/", ".", "/"],
    ["/...", "...", "/..."],
    ["/-rf", "-rf", "/-rf"],
    ["/a\nb", "a\nb", "/a\nb"],
    ["/%2e%2e/a", "%2e%2e/a", "/%2e%2e/a"],
    ["/a\\..\\b", "a\\..\\b", "/a\\..\\b"],
  ])("%j is %j below the workspace, shown as %j", (path, bytes, shown) => {
    expect(of(path).bytes.toString()).toBe(bytes);
    expect(of(path).toString()).toBe(shown);
  });

  it.each([
    ["/..", '".."'],
    ["../a", '".."'],
    ["/a/../b", '".."'],
    ["/a/..", '".."'],
    ["/a\0b", "NUL"],
    [`/${"x".repeat(256)}`, "255 bytes"],
    [`/${"é".repeat(128)}`, "255 bytes"],
    [`/${"d/".repeat(3000)}`, "longer than"],
  ])("refuses %j", (path, why) => {
    expect(() => of(path)).toThrow(ClawdspaceError);
    expect(() => of(path)).toThrow(why);
  });

  it("takes bytes that are no text, and gives them back", () => {
    const bytes = Buffer.from([0x61, 0x2f, 0xff, 0xfe, 0x2f, 0x62]);
    const path = WorkspacePath.of({ pathBase64: bytes.toString("base64") });
    expect(path.bytes).toEqual(bytes);
    expect(path.toString()).toBe("/a/\ufffd\ufffd/b");
    expect(path.toFields()).toEqual({
      path: "/a/\ufffd\ufffd/b",
      pathBase64: Buffer.concat([Buffer.from("/"), bytes]).toString("base64"),
    });
    expect(WorkspacePath.of(pick(path.toFields())).bytes).toEqual(bytes);
  });

  it("refuses a place named twice", () => {
    expect(() => WorkspacePath.of({ path: "/a", pathBase64: "YQ==" })).toThrow("not both");
  });

  it("knows what lies below it", () => {
    expect(of("/a").contains(of("/a/b"))).toBe(true);
    expect(of("/a").contains(of("/a"))).toBe(true);
    expect(of("/a").contains(of("/ab"))).toBe(false);
    expect(of("/a/b").contains(of("/a"))).toBe(false);
    expect(of("/").contains(of("/a"))).toBe(true);
  });

  it("joins names and refuses those that would lead out", () => {
    expect(of("/a").join(Buffer.from("b/c")).toString()).toBe("/a/b/c");
    expect(WorkspacePath.root.join(Buffer.from("b")).toString()).toBe("/b");
    expect(() => of("/a").join(Buffer.from("../b"))).toThrow(ClawdspaceError);
  });

  it("never yields a path that leads out, whatever it is given", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        let path: WorkspacePath;
        try {
          path = WorkspacePath.fromBytes(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(ClawdspaceError);
          return;
        }
        const text = path.bytes.toString("latin1");
        expect(text.startsWith("/")).toBe(false);
        expect(text.split("/")).not.toContain("..");
        expect(text).not.toContain("\0");
      }),
      { numRuns: 2000 },
    );
  });
});

const pick = ({ path, pathBase64 }: { path: string; pathBase64?: string }) =>
  pathBase64 === undefined ? { path } : { pathBase64 };
