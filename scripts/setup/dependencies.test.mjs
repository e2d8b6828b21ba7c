import { describe, expect, it } from "vitest";
import { isInstalled } from "./dependencies.mjs";

const a = { version: "1.0.0", integrity: "sha512-a" };
const mac = { version: "2.0.0", optional: true, os: ["darwin"] };
const wanted = { packages: { "": {}, "node_modules/a": a, "node_modules/mac": mac } };

describe("isInstalled", () => {
  it("accepts an install without another platform's packages", () => {
    expect(isInstalled(wanted, { packages: { "node_modules/a": a } })).toBe(true);
  });

  it("sees that a package is missing", () => {
    expect(isInstalled(wanted, { packages: { "node_modules/mac": mac } })).toBe(false);
  });

  it("sees another version, and other contents of the same version", () => {
    const older = { packages: { "node_modules/a": { ...a, version: "0.9.0" } } };
    const other = { packages: { "node_modules/a": { ...a, integrity: "sha512-b" } } };
    expect(isInstalled(wanted, older)).toBe(false);
    expect(isInstalled(wanted, other)).toBe(false);
  });

  it("sees a package that is no longer wanted", () => {
    const more = { packages: { "node_modules/a": a, "node_modules/b": a } };
    expect(isInstalled(wanted, more)).toBe(false);
  });

  it("takes no install, or one that was cut off, for none", () => {
    expect(isInstalled(wanted, undefined)).toBe(false);
    expect(isInstalled(undefined, wanted)).toBe(false);
  });
});
