import { describe, expect, test } from "vitest";
import { z } from "zod";
import { describeIssues, toIssues } from "./validation-issues.js";

/** Faults as the validator compiler hands them over. */
function faultsOf(schema: z.ZodType, value: unknown) {
  const { error } = schema.safeParse(value);
  return (error?.issues ?? []).map(({ path, message, ...params }) => ({
    instancePath: `/${path.join("/")}`,
    message,
    params,
  }));
}

describe("toIssues", () => {
  const schema = z.strictObject({ name: z.string(), env: z.strictObject({ A: z.number() }) });

  test("says what is missing, what has the wrong type, and what is unknown, each at its path", () => {
    expect(toIssues(faultsOf(schema, { env: { A: "1", b: 1, c: 2 }, d: 3 }))).toEqual([
      { path: "name", message: "is missing" },
      { path: "env.A", message: "must be number, not string" },
      { path: "env.b", message: "is no known field" },
      { path: "env.c", message: "is no known field" },
      { path: "d", message: "is no known field" },
    ]);
  });

  test("a body that is no object has no path", () => {
    const issues = toIssues(faultsOf(schema, "text"));
    expect(issues).toEqual([{ path: "", message: "must be object, not string" }]);
    expect(describeIssues(issues)).toBe("must be object, not string");
  });

  test("keeps a schema's own words", () => {
    const own = z.object({ size: z.string().regex(/^\d+$/, "must be digits") });
    const issues = toIssues(faultsOf(own, { size: "x" }));
    expect(describeIssues(issues)).toBe("size: must be digits");
  });

  test("a fault without a message is not valid", () => {
    expect(toIssues([{ instancePath: "/a/b" }])).toEqual([
      { path: "a.b", message: "is not valid" },
    ]);
  });
});
