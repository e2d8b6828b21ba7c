import { describe, expect, it } from "vitest";
import { type Mount, toOuterLocation } from "./mount.js";
import { withoutSecrets } from "./secrets.js";

const mount = (prefix: string, keepPrefix = false): Mount => ({
  space: "web",
  port: 8000,
  prefix,
  keepPrefix,
  shared: prefix !== "",
  cookieMarker: undefined,
  cookiePath: `${prefix}/`,
});

describe("locations on their way out", () => {
  it.each([
    ["/next?a=1#b", "/p/next?a=1#b", "/next?a=1#b"],
    ["next", "next", "next"],
    ["", "", ""],
    ["?a", "?a", "?a"],
    ["http://localhost:8000/x", "/p/x", "/x"],
    ["HTTP://LOCALHOST:8000", "/p/", "/"],
    ["https://127.0.0.1:8000/x?y", "/p/x?y", "/x?y"],
    ["//[::1]:8000/x", "/p/x", "/x"],
    ["http://0.0.0.0:8000/x", "/p/x", "/x"],
    ["http://localhost:9000/x", "http://localhost:9000/x", "http://localhost:9000/x"],
    ["http://localhost/x", "http://localhost/x", "http://localhost/x"],
    ["https://example.com/", "https://example.com/", "https://example.com/"],
    ["//example.com/", "//example.com/", "//example.com/"],
    ["http://[bad", "http://[bad", "http://[bad"],
  ])("%s", (location, byPath, byHost) => {
    expect(toOuterLocation(mount("/p"), location)).toBe(byPath);
    expect(toOuterLocation(mount(""), location)).toBe(byHost);
  });

  it("keep a prefix that the server knows", () => {
    expect(toOuterLocation(mount("/p", true), "/p/x")).toBe("/p/x");
    expect(toOuterLocation(mount("/p", true), "/p")).toBe("/p");
    expect(toOuterLocation(mount("/p", true), "/px")).toBe("/p/px");
    expect(toOuterLocation(mount("/p", true), "http://localhost:8000/p/x")).toBe("/p/x");
  });
});

describe("targets on their way in", () => {
  const isKey = (text: string) => text === "the key";

  it.each([
    ["/", "/"],
    ["/a?", "/a"],
    ["/a?key=the%20key", "/a"],
    ["/a?x=%20&key=the+key&y", "/a?x=%20&y"],
    ["/a?k%65y=the%20key&key=other", "/a?key=other"],
    ["/a?clawdspace_token=anything&b=?", "/a?b=?"],
    ["/a?b?key=the+key", "/a?b?key=the+key"],
    ["/key=the+key", "/key=the+key"],
  ])("%s → %s", (target, expected) => {
    expect(withoutSecrets(target, isKey)).toBe(expected);
  });
});
