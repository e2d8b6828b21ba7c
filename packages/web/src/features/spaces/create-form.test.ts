import { expect, it } from "vitest";
import { describeNetwork, EMPTY_FORM, parseEnv, toRequest } from "./create-form.js";

it("leaves to the template what is not filled in", () => {
  expect(toRequest({ ...EMPTY_FORM, name: " dev " })).toEqual({ name: "dev", template: "default" });
  const env = [
    { name: "A", value: "1" },
    { name: "", value: "" },
  ];
  expect(
    toRequest({ ...EMPTY_FORM, name: "x", cpus: "2", memory: "1g", node: "auto", env }),
  ).toEqual({
    name: "x",
    template: "default",
    cpus: 2,
    memory: "1g",
    node: "auto",
    env: { A: "1" },
  });
});

it("takes a pasted .env apart", () => {
  expect(parseEnv('# note\nexport A=1\nB="two words"\nnonsense\nC=')).toEqual([
    { name: "A", value: "1" },
    { name: "B", value: "two words" },
    { name: "C", value: "" },
  ]);
});

it("says what a template's network comes to", () => {
  expect(describeNetwork({ name: "a", network: { mode: "none" } })).toBe("No network at all");
  expect(describeNetwork({ name: "a", network: { allowDomains: ["github.com"] } })).toBe(
    "Only github.com",
  );
  expect(describeNetwork(undefined)).toBe("The internet, without private networks");
});
