import { describe, expect, it } from "vitest";
import { isAllowed, requireAllowed, requireUnconfined } from "./access.js";
import { readConfig } from "./config.js";

describe("allow and deny lists", () => {
  it("lets deny win, and allows all where there is no list", () => {
    expect(isAllowed("a", readConfig(undefined))).toBe(true);
    const lists = readConfig({ allowSpaces: ["a", "b"], denySpaces: ["b"] });
    expect(["a", "b", "c"].map((name) => isAllowed(name, lists))).toEqual([true, false, false]);
    expect(() => requireAllowed("b", lists)).toThrow(/"b"\. Use one of: a\./);
  });

  it("keeps templates from agents that are kept to some spaces", () => {
    expect(() => requireUnconfined(readConfig({}))).not.toThrow();
    expect(() => requireUnconfined(readConfig({ denySpaces: ["x"] }))).toThrow(/templates/);
  });

  it("names the settings that are wrong", () => {
    expect(() => readConfig({ timeoutMs: "soon" })).toThrow(/timeoutMs/);
  });
});
