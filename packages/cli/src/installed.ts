import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { CliError } from "./failure.js";

/** The folder that this program was installed, or cloned, into. */
export function installedRoot(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, "scripts/start.mjs"))) return folder;
  }
  throw new CliError("The daemon is not beside this program.", {
    hint: "Install it whole: npm install -g of the packed file, or of packages/cli/build/package.",
  });
}

export const daemonEntry = () => join(installedRoot(), "packages/api/dist/index.js");

/** A part of the set-up that travels along. */
export async function setUp<T>(file: string): Promise<T> {
  return (await import(pathToFileURL(join(installedRoot(), "scripts", file)).href)) as T;
}
