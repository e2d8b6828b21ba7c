import { describe, expect, it } from "vitest";
import { ROOT } from "./sources.mjs";
import { addUp, closingLine, countTests, troubles } from "./test-report.mjs";

const report = (numbers, testResults = []) => ({
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  testResults,
  ...numbers,
});

describe("countTests", () => {
  it("counts what vitest counted", () => {
    const counted = countTests(
      report({ numPassedTests: 5, numFailedTests: 2, numPendingTests: 1 }),
      1,
    );
    expect(counted).toEqual({ passed: 5, failed: 2, skipped: 1 });
  });

  it("counts a file that did not load, beside one with failed tests", () => {
    const files = [
      { status: "failed", assertionResults: [] },
      { status: "failed", assertionResults: [{ status: "failed" }] },
      { status: "passed", assertionResults: [{ status: "passed" }] },
    ];
    const counted = countTests(report({ numPassedTests: 1, numFailedTests: 1 }, files), 1);
    expect(counted).toEqual({ passed: 1, failed: 2, skipped: 0 });
  });

  it("counts an error outside of any test", () => {
    expect(countTests(report({ numPassedTests: 3 }), 1).failed).toBe(1);
  });

  it("counts a runner that died without a report", () => {
    expect(countTests(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

it("adds up and closes with one line", () => {
  const total = addUp([
    { passed: 4, failed: 0, skipped: 0 },
    { passed: 3, failed: 1, skipped: 0 },
  ]);
  expect(closingLine(total)).toBe("7 passed, 1 failed");
  expect(closingLine({ passed: 1, failed: 0, skipped: 2 })).toBe("1 passed, 0 failed, 2 skipped");
});

describe("troubles", () => {
  const test = (status, ...failureMessages) => ({ status, fullName: status, failureMessages });

  it("names what failed and what had to be tried again, with why", () => {
    const assertionResults = [
      test("passed"),
      test("passed", "slow\n  at x.ts:1"),
      test("failed", "wrong", "again"),
    ];
    const files = [
      { name: `${ROOT}/a.test.ts`, status: "failed", assertionResults },
      {
        name: `${ROOT}/b.test.ts`,
        status: "failed",
        message: "no such module",
        assertionResults: [],
      },
    ];
    expect(troubles("unit", report({}, files))).toEqual([
      "passed at a second try: unit a.test.ts: passed: slow",
      "failed: unit a.test.ts: failed: wrong",
      "failed: unit b.test.ts: no such module",
    ]);
  });

  it("says that there is no report", () => {
    expect(troubles("e2e", undefined)).toEqual(["failed: e2e left no report"]);
  });
});
