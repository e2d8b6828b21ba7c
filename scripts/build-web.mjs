// Builds the dashboard, unless its sources, and those of the packages that it is made of, are those of the last build.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "./setup/run.mjs";
import { hashFiles, ROOT, readFiles } from "./setup/sources.mjs";

const SOURCES = [
  "package-lock.json",
  "packages/web",
  "packages/client/src",
  "packages/protocol/src",
];
const PAGE = join(ROOT, "packages/web/dist/index.html");
const STAMP = join(ROOT, "node_modules/.cache/clawdspace/web");

const skip = (path) =>
  /(^|\/)(dist|build|node_modules)$/.test(path) || /\.test\.[a-z]+$/.test(path);
const source = hashFiles(readFiles(ROOT, SOURCES, skip));
const last = existsSync(STAMP) ? readFileSync(STAMP, "utf8") : undefined;

if (!existsSync(PAGE) || last !== source) {
  const command = ["npm", "run", "--silent", "build", "--workspace", "packages/web"];
  await run(command, { cwd: ROOT, what: "The build of the dashboard" });
  mkdirSync(dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, source);
}
