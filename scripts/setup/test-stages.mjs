import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { track } from "./run.mjs";
import { ROOT } from "./sources.mjs";
import { addUp, countTests, troubles } from "./test-report.mjs";

export const STAGES = ["check", "unit", "contract", "e2e"];

/** Run where they are asked for by name alone: they fetch gigabytes. */
export const EXTRA_STAGES = ["hosts"];

/**
 * Runs one stage with its output shown as it comes.
 * @param {string} stage one of STAGES or EXTRA_STAGES
 * @param {Record<string, string>} env
 * @returns {Promise<import("./test-report.mjs").Count & { troubles: string[] }>}
 */
export async function runStage(stage, env) {
  return stage === "check" ? runChecks(env) : runTests(stage, env);
}

/** Each tool of `npm run check` by itself, so that one that fails does not hide the next. */
async function runChecks(env) {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const counts = [];
  const troubles = [];
  for (const name of Object.keys(scripts).filter((script) => script.startsWith("check:"))) {
    const code = await npm(["run", "--silent", name], env);
    console.log(`${code === 0 ? "✓" : "✗"} ${name}`);
    counts.push({ passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 });
    if (code !== 0) troubles.push(`failed: ${name}`);
  }
  return { ...addUp(counts), troubles };
}

async function runTests(stage, env) {
  const folder = mkdtempSync(join(tmpdir(), "clawdspace-test-"));
  const file = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  try {
    const vitest = ["exec", "--", "vitest", "run", "--project", stage];
    const code = await npm([...vitest, ...reporters], env);
    const report = readReport(file);
    return { ...countTests(report, code), troubles: troubles(stage, report) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function npm(args, env) {
  return new Promise((resolve) => {
    const child = spawn("npm", args, {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...env },
    });
    track(child);
    child.on("error", () => resolve(127));
    child.on("close", (code) => resolve(code ?? 1));
  });
}
