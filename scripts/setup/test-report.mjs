import { relative } from "node:path";
import { ROOT } from "./sources.mjs";

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Count
 */

/**
 * Counts what a run of vitest did by its JSON report. What keeps a test from being counted (no
 * report, a file that does not load, an error outside of any test) counts as a failure.
 * @param {any} report undefined where there is none
 * @param {number} exitCode vitest's
 * @returns {Count}
 */
export function countTests(report, exitCode) {
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const broken = report.testResults.filter(
    (file) =>
      file.status === "failed" && file.assertionResults.every((it) => it.status !== "failed"),
  ).length;
  const failed = report.numFailedTests + broken;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
}

/**
 * Names what failed, and what passed only when it was tried once more, a line each, so that the end of a long log says
 * what to look at.
 * @param {string} stage
 * @param {any} report undefined where there is none
 * @returns {string[]}
 */
export function troubles(stage, report) {
  if (report === undefined) return [`failed: ${stage} left no report`];
  return report.testResults.flatMap((file) => {
    const where = `${stage} ${relative(ROOT, file.name)}`;
    const tests = file.assertionResults.flatMap(({ status, fullName, failureMessages }) => {
      const why = firstLine(failureMessages?.[0]);
      if (status === "failed") return [`failed: ${where}: ${fullName}: ${why}`];
      return status === "passed" && why
        ? [`passed at a second try: ${where}: ${fullName}: ${why}`]
        : [];
    });
    const broken = file.status === "failed" && !tests.some((line) => line.startsWith("failed:"));
    return broken ? [...tests, `failed: ${where}: ${firstLine(file.message)}`] : tests;
  });
}

const firstLine = (text) => (text ?? "").split("\n")[0].slice(0, 300);

/** @param {Count[]} counts @returns {Count} */
export function addUp(counts) {
  const sum = (pick) => counts.reduce((total, count) => total + pick(count), 0);
  return {
    passed: sum((count) => count.passed),
    failed: sum((count) => count.failed),
    skipped: sum((count) => count.skipped),
  };
}

/** @param {Count} count @returns {string} the closing line */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
