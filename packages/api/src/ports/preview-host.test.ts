import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePreviewHost, toHostPart } from "./preview-host.js";

const DOMAIN = "preview.example.com";
const name = fc.stringMatching(/^[a-zA-Z0-9_-]{1,63}$/);

describe("hosts of previews", () => {
  it.each([
    ["web", "web"],
    ["my-app-2", "my-app-2"],
    ["Web", "-web-"],
    ["web_2", "-web-2-"],
    ["web-", "-web-"],
    ["-", "-"],
    ["a".repeat(57), "a".repeat(57)],
    ["a".repeat(58), `-${"a".repeat(40)}-`],
  ])("name %s as %s", (space, part) => {
    const hash = part.startsWith("-") ? "[0-9a-f]{10}" : "";
    expect(toHostPart(space)).toMatch(new RegExp(`^${part}${hash}$`));
  });

  it("are labels that a resolver takes, and lead back to their part", () => {
    fc.assert(
      fc.property(name, fc.integer({ min: 1, max: 65535 }), (space, port) => {
        const label = `${port}-${toHostPart(space)}`;
        expect(label).toMatch(/^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$/);
        for (const host of [`${label}.${DOMAIN}`, `${label}.${DOMAIN}.:7777`.toUpperCase()]) {
          expect(parsePreviewHost(host, DOMAIN)).toEqual({ port, hostPart: toHostPart(space) });
        }
      }),
    );
  });

  it("differ for names that differ", () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 2 }), (names) => {
        const parts = new Set(names.flatMap((each) => [each, each.toLowerCase()]).map(toHostPart));
        expect(parts.size).toBe(new Set(names.flatMap((each) => [each, each.toLowerCase()])).size);
      }),
    );
  });

  it.each([
    undefined,
    "",
    "127.0.0.1:7777",
    "[::1]:7777",
    DOMAIN,
    `8000-web.${DOMAIN}.evil.com`,
    "8000-web.preview.example.org",
    "8000-webpreview.example.com",
  ])("leave %s to the API", (host) => {
    expect(parsePreviewHost(host, DOMAIN)).toBeUndefined();
  });

  it.each([
    "web",
    "8000",
    "0-web",
    "65536-web",
    "080-web",
    "8000-",
    "8000-_web",
    "a.8000-web",
    "-web",
  ])("are none of %s", (label) => {
    expect(parsePreviewHost(`${label}.${DOMAIN}`, DOMAIN)).toBe("none");
  });
});
