// A mirror of the npm registry that lacks some platforms' binaries makes npm leave them out of
// package-lock.json, without a word, and `npm ci` then refuses the file everywhere. This puts them
// back: run it after an `npm install` behind such a mirror. A complete file is left as it is.
import { readFileSync, writeFileSync } from "node:fs";
import { completeLock } from "./setup/lock-file.mjs";
import { ROOT } from "./setup/sources.mjs";

const file = `${ROOT}package-lock.json`;
const { lock, added } = completeLock(JSON.parse(readFileSync(file, "utf8")));
if (added.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length > 0 ? `Added: ${added.join(", ")}` : "package-lock.json is complete");
