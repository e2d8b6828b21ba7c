import { expect, it } from "vitest";
import { checkNodeVersion } from "./node-version.mjs";

it.each(["20.19.0", "20.20.2", "22.0.0", "24.1.0"])("takes %s", (version) => {
  expect(checkNodeVersion(version)).toBe(version);
});

it.each(["20.18.9", "18.20.4", "9.99.0"])("refuses %s and says what is needed", (version) => {
  expect(() => checkNodeVersion(version)).toThrow(
    `20.19 or later is needed, and this is ${version}`,
  );
});
