import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.mjs";
import { ROOT } from "./sources.mjs";

/**
 * Installs the npm dependencies unless what package-lock.json asks for is there.
 * @param {import("./steps.mjs").StepContext} context
 * @returns {Promise<string | undefined>}
 */
export async function ensureDependencies({ progress }) {
  const wanted = readLock("package-lock.json");
  if (isInstalled(wanted, readLock("node_modules/.package-lock.json"))) return "unchanged";
  progress("npm ci");
  // The build needs the development dependencies, whatever NODE_ENV says.
  await run(["npm", "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: ROOT,
    onLine: progress,
    what: "npm ci",
  });
  return undefined;
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(join(ROOT, file), "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Compares the lock file with the one npm leaves in node_modules as the last act of an install.
 * Only an optional package (for another platform) may be missing.
 */
export function isInstalled(wanted, present) {
  if (!wanted?.packages || !present?.packages) return false;
  const expected = Object.entries(wanted.packages).filter(([path]) => path !== "");
  const matches = ([path, entry]) => {
    const there = present.packages[path];
    if (there === undefined) return entry.optional === true || entry.devOptional === true;
    return there.version === entry.version && there.integrity === entry.integrity;
  };
  const extra = Object.keys(present.packages).some((path) => !(path in wanted.packages));
  return expected.every(matches) && !extra;
}
