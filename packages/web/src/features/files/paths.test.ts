import { expect, it } from "vitest";
import { downloadUrl, join, nameOf, parentOf, previewOf, textOf } from "./paths.js";

it("takes paths apart and puts them together", () => {
  expect([join("/", "a"), join("/a", "b")]).toEqual(["/a", "/a/b"]);
  expect([parentOf("/a"), parentOf("/a/b"), nameOf("/a/b.txt")]).toEqual(["/", "/a", "b.txt"]);
  expect(["x.PNG", "README.md", "a.ts"].map(previewOf)).toEqual(["image", "markdown", "text"]);
});

it("tells text from other bytes", () => {
  expect(textOf(new TextEncoder().encode("grün\n"))).toBe("grün\n");
  expect(textOf(new Uint8Array([0xff, 0xfe]))).toBeUndefined();
  expect(textOf(new Uint8Array([65, 0]))).toBeUndefined();
});

it("escapes names in addresses", () => {
  expect(downloadUrl("dev", "/a b&c", false)).toBe("/api/spaces/dev/files/raw?path=%2Fa%20b%26c");
  expect(downloadUrl("dev", "/", true)).toBe("/api/spaces/dev/files/archive?path=%2F&format=zip");
});
