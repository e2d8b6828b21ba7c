import {
  canInstall,
  installPackages,
  missingPackages,
  packageExists,
  updateLists,
} from "./apt.mjs";
import { tryRun } from "./run.mjs";

/** What the tests use beyond what `npm start` needs: a browser, compilers, network tools, a terminal and shells. */
const TOOLS = [
  "chromium",
  "clang",
  "fish",
  "gcc-aarch64-linux-gnu",
  "iproute2",
  "libc6-dev-arm64-cross",
  "openssl",
  "systemd",
  "tmux",
  "zsh",
];

/** Taken along where the distribution has it. */
const OPTIONAL_TOOLS = ["runsc"];

/**
 * Installs the tests' tools. Where that cannot be done the tests that need them say so.
 * @param {import("./steps.mjs").StepContext} context
 * @returns {Promise<string>}
 */
export async function ensureTestTools({ progress }) {
  if (!canInstall()) return "skipped: no apt-get, or no root's rights, on this machine";
  if ((await missingPackages([...TOOLS, ...OPTIONAL_TOOLS])).length > 0)
    await updateLists(progress);
  const wanted = [...TOOLS, ...(await fuzzerRuntime())];
  for (const name of OPTIONAL_TOOLS) if (await packageExists(name)) wanted.push(name);
  const missing = await missingPackages(wanted);
  if (missing.length === 0) return "unchanged";
  await installPackages(missing, progress);
  return missing.join(", ");
}

/** clang only recommends its sanitizers' and fuzzer's runtime, in a package named by its version. */
async function fuzzerRuntime() {
  const { output } = await tryRun(["apt-cache", "depends", "clang"], { env: { LC_ALL: "C" } });
  const version = output.match(/Depends: clang-(\d+)/)?.[1];
  const name = `libclang-rt-${version}-dev`;
  return version && (await packageExists(name)) ? [name] : [];
}
