import { readFileSync } from "node:fs";
import { asRoot, canBecomeRoot, findProgram } from "./root.mjs";
import { run, tryRun } from "./run.mjs";
import { SetupError } from "./setup-error.mjs";

const ENVIRONMENT = { DEBIAN_FRONTEND: "noninteractive" };
// Another apt (a machine that has just booted updates itself) is waited for, not tripped over.
const APT = ["apt-get", "-o", "DPkg::Lock::Timeout=300"];

/** @returns {{ id: string, codename: string, debianLike: boolean }} this machine's distribution */
export function distribution(text = readOsRelease()) {
  const field = (name) => text.match(new RegExp(`^${name}="?([^"\\n]*)"?$`, "m"))?.[1] ?? "";
  const family = [field("ID"), ...field("ID_LIKE").split(" ")];
  return {
    id: field("ID"),
    codename: field("VERSION_CODENAME"),
    debianLike: family.includes("debian") || family.includes("ubuntu"),
  };
}

function readOsRelease() {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}

/** Whether packages can be installed here at all. */
export function canInstall() {
  return distribution().debianLike && findProgram("apt-get") !== undefined && canBecomeRoot();
}

/** @returns {Promise<string[]>} those of the packages that are not installed */
export async function missingPackages(packages) {
  const { output } = await tryRun(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's own
    ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", ...packages],
    { env: { LC_ALL: "C" } },
  );
  const installed = new Set(
    output
      .split("\n")
      .filter((line) => line.endsWith(" installed"))
      .map((line) => line.split(" ")[0]),
  );
  return packages.filter((name) => !installed.has(name));
}

/** @returns {Promise<boolean>} whether the distribution has a package, after `updateLists` */
export async function packageExists(name) {
  const { output } = await tryRun(["apt-cache", "policy", name], { env: { LC_ALL: "C" } });
  return /^\s*Candidate: (?!\(none\))/m.test(output);
}

let listsAreFresh = false;

/** Fetches the package lists, once in a run. */
export async function updateLists(progress) {
  if (listsAreFresh) return;
  progress("apt-get update");
  await run(asRoot([...APT, "-q", "update"], ENVIRONMENT), { what: "apt-get update" });
  listsAreFresh = true;
}

/**
 * Installs the packages that are missing, without what they only recommend.
 * @param {string[]} packages
 * @param {(text: string) => void} progress
 */
export async function installPackages(packages, progress) {
  const missing = await missingPackages(packages);
  if (missing.length === 0) return;
  if (!canInstall()) {
    throw new SetupError(`Missing on this machine: ${missing.join(", ")}. Install them by hand.`);
  }
  await updateLists(progress);
  progress(`apt-get install ${missing.join(" ")}`);
  await run(
    asRoot([...APT, "-q", "-y", "install", "--no-install-recommends", ...missing], ENVIRONMENT),
    { what: `apt-get install ${missing.join(" ")}`, onLine: progress },
  );
}
