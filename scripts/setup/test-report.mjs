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
