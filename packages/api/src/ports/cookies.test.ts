import { describe, expect, it } from "vitest";
import { toInnerCookies, toOuterCookie } from "./cookies.js";
import type { Mount } from "./mount.js";

const mount: Mount = {
  space: "web",
  port: 80,
  prefix: "/p",
  keepPrefix: false,
  shared: true,
  cookieMarker: undefined,
  cookiePath: "/p/",
};
const marked = { ...mount, cookieMarker: "cs_80_" };

describe("cookies on their way into a space", () => {
  it.each([
    ["a=1; b=2", "a=1; b=2"],
    ["a=1;b=2=3; c=", "a=1; b=2=3; c="],
    ["clawdspace_session=x; a=1", "a=1"],
    ["a=1; CLAWDSPACE_PREVIEW=x; __Host-clawdspace_session=y; __Secure-Clawdspace_z=1", "a=1"],
    ["a=1; clawdspace_session = x", "a=1"],
    ["clawdspace_session", undefined],
    ["", undefined],
  ])("%s → %s", (header, expected) => {
    expect(toInnerCookies(header, mount)).toBe(expected);
  });

  it("are only those of the space where a browser adds everybody's", () => {
    const header = "a=1; cs_80_b=2; cs_8_c=3; cs_80_clawdspace_session=4; cs_80_d";
    expect(toInnerCookies(header, marked)).toBe("b=2");
  });
});

describe("cookies on their way out", () => {
  it.each([
    ["a=1", "a=1; Path=/p/"],
    ["a=1; path=/x; DOMAIN=.example.com; Secure", "a=1; Secure; Path=/p/x"],
    ["a=1; Path=x; Path=/b; Max-Age=3", "a=1; Max-Age=3; Path=/p/b"],
    ["a = b=c ;HttpOnly", "a=b=c; HttpOnly; Path=/p/"],
    [
      "a=; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
      "a=; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/p/",
    ],
    ["clawdspace_session=x", undefined],
    ["Clawdspace_Preview=x; Path=/", undefined],
    ["__Secure-__Host-clawdspace_session=x", undefined],
    ["=clawdspace_session=x", undefined],
    ["clawdspace_session", undefined],
    ["a b=1", undefined],
    ["", undefined],
  ])("%s → %s", (header, expected) => {
    expect(toOuterCookie(header, mount)).toBe(expected);
  });

  it("are marked where a browser keeps them beside everybody's", () => {
    expect(toOuterCookie("__Host-a=1; Secure; Path=/", marked)).toBe(
      "cs_80___Host-a=1; Secure; Path=/p/",
    );
  });

  it("keep a path that has the prefix where the server knows it", () => {
    const kept = { ...mount, keepPrefix: true };
    expect(toOuterCookie("a=1; Path=/p/x", kept)).toBe("a=1; Path=/p/x");
    expect(toOuterCookie("a=1; Path=/px", kept)).toBe("a=1; Path=/p/px");
    expect(toOuterCookie("a=1; Path=/p/../..", mount)).toBe("a=1; Path=/p/p/../..");
  });
});
