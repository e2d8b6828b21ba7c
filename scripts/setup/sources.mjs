import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the clone, or of the installed package. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Whether this is a clone; what npm has installed is built already, and has its dependencies. */
export const isClone = () => existsSync(join(ROOT, "tsconfig.base.json"));

/**
 * Reads files and whole folders below a root, in a fixed order.
 * @param {string[]} paths files or folders, relative to `root`; a missing one counts as empty
 * @param {(path: string) => boolean} skip names a path, relative to `root`, not to be read
 * @returns {{ path: string, content: Buffer, executable: boolean }[]}
 */
export function readFiles(root, paths, skip = () => false) {
  return paths.flatMap((path) => {
    const file = join(root, path);
    if (skip(path) || !existsSync(file)) return [];
    const status = statSync(file);
    if (!status.isDirectory()) {
      return [{ path, content: readFileSync(file), executable: (status.mode & 0o100) !== 0 }];
    }
    const names = readdirSync(file).sort();
    return readFiles(
      root,
      names.map((name) => join(path, name)),
      skip,
    );
  });
}

/** @returns {string} a hash over names, contents and what else is given */
export function hashFiles(files, ...more) {
  const hash = createHash("sha256");
  for (const { path, content, executable } of files) {
    hash.update(`${path}\0${executable}\0${content.length}\0`).update(content);
  }
  for (const text of more) hash.update(`\0${text}`);
  return hash.digest("hex");
}
