import fc from "fast-check";
import { expect, it } from "vitest";
import { unfinishedBytes } from "./utf8.js";

it("finds where a text was cut inside a character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), fc.nat(), (text, at) => {
      const bytes = Buffer.from(text);
      const head = bytes.subarray(0, at % (bytes.length + 1));
      const whole = head.subarray(0, head.length - unfinishedBytes(head));
      expect(text.startsWith(whole.toString())).toBe(true);
      expect(Buffer.from(whole.toString()).equals(whole)).toBe(true);
    }),
  );
});

it("keeps nothing back of what can become no character", () => {
  for (const hex of ["", "61", "ff", "80", "808080", "f5", "c3a9", "e28080", "c0"])
    expect(unfinishedBytes(Buffer.from(hex, "hex"))).toBe(0);
  expect(unfinishedBytes(Buffer.from("61e282", "hex"))).toBe(2);
});
