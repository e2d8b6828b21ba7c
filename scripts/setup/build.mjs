import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./run.mjs";
import { hashFiles, ROOT, readFiles } from "./sources.mjs";

/** What `npm start` runs in the end. */
export const DAEMON = join(ROOT, "packages/api/dist/index.js");

const CACHE = join(ROOT, "node_modules/.cache/clawdspace");
const STAMP = join(CACHE, "build");

/**
 * Builds the packages unless their sources are those of the last build.
 * @param {import("./steps.mjs").StepContext} context
 * @returns {Promise<string | undefined>}
 */
export async function ensureBuild({ progress }) {
  const source = sourceHash();
  if (existsSync(DAEMON) && lastBuild() === source) return "unchanged";
  progress("npm run build");
  await run(["npm", "run", "build"], { cwd: ROOT, onLine: progress, what: "npm run build" });
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(STAMP, source);
  return undefined;
}

function lastBuild() {
  return existsSync(STAMP) ? readFileSync(STAMP, "utf8") : undefined;
}

/** Tests and what a build leaves behind do not count, nor does the guest agent: the image has it. */
function sourceHash() {
  const configs = readdirSync(ROOT).filter((name) => /^(package|tsconfig).*\.json$/.test(name));
  const skip = (path) =>
    path === "packages/guest" ||
    /(^|\/)(dist|build|node_modules|coverage)$/.test(path) ||
    /\.(test\.[a-z]+|tsbuildinfo)$/.test(path);
  return hashFiles(readFiles(ROOT, [...configs, "packages"], skip));
}
