import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

const text = readFileSync(new URL("../docs/SECURITY.md", import.meta.url), "utf8");
const rows = text
  .split("\n")
  .filter((line) => line.startsWith("| "))
  .slice(1)
  .map((line) => line.split(/ ?\| ?/).slice(1, -1));

it("names for each protection a test that is there", () => {
  expect(rows.length).toBeGreaterThan(20);
  for (const [protection, , proof = ""] of rows) {
    const named = [...proof.matchAll(/`([^`]+)`/g)].map(([, path]) => path);
    expect(named, protection).not.toEqual([]);
    for (const path of named) {
      expect(path).toMatch(/\.test\.ts$|\/test$/);
      expect(existsSync(new URL(`../${path}`, import.meta.url)), path).toBe(true);
    }
  }
});
