import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { distribution, installPackages, packageExists, updateLists } from "./apt.mjs";
import { engineRequest, followMessages } from "./engine-http.mjs";
import { asRoot } from "./root.mjs";
import { excerpt, run, track } from "./run.mjs";
import { SetupError } from "./setup-error.mjs";
import { ROOT, readFiles } from "./sources.mjs";

/** What a base made from packages depends on. */
export const PACKAGE_FILES = ["docker/packages.txt", "docker/install-packages.sh"];

const SCRATCH_PARENT = "/var/tmp";
const SCRATCH_PREFIX = "clawdspace-base-";
const SCRATCH_BYTES = 3 * 2 ** 30;
const MEMORY_FOR_SCRATCH = 2 * SCRATCH_BYTES;

/** What Debian's and Docker's own slim images leave out. */
const LEFT_OUT = [
  "path-exclude=/usr/share/doc/*",
  "path-include=/usr/share/doc/*/copyright",
  "path-exclude=/usr/share/man/*",
  "path-exclude=/usr/share/groff/*",
  "path-exclude=/usr/share/info/*",
  "path-exclude=/usr/share/locale/*",
  "path-exclude=/usr/share/lintian/*",
];

/**
 * Makes a base image from the packages of this machine's own distribution, with mmdebstrap: what
 * packages.txt lists is in it already, so that the image's build needs no network.
 * @param {string} address the engine's
 * @param {string} name the image's
 * @param {(text: string) => void} progress
 */
export async function makeBase(address, name, progress) {
  await installPackages(["mmdebstrap"], progress);
  const { id, codename } = distribution();
  const packages = await listedPackages(progress);
  const scratch = await scratchFolder();
  const argv = [
    "mmdebstrap",
    "--variant=minbase",
    "--dpkgopt=force-unsafe-io",
    "--mode=root",
    `--include=${packages.join(",")}`,
    ...LEFT_OUT.map((option) => `--dpkgopt=${option}`),
    '--aptopt=Acquire::Languages "none"',
    ...(await hostAptOptions()).map((option) => `--aptopt=${option}`),
    codename,
    "-",
    "-",
  ];
  try {
    progress(`building ${id} ${codename} from packages`);
    await importOutput(address, name, argv, await hostSources(codename, id), scratch, progress);
  } finally {
    await removeTree(scratch);
  }
}

/**
 * Runs a command that prints a root file system, and has the engine import that as it comes. The
 * upload is ended only after the command succeeded: a cut one leaves no image.
 */
async function importOutput(address, name, argv, input, scratch, progress) {
  const [program, ...args] = asRoot(inScratch(argv, scratch), { TMPDIR: scratch });
  const child = track(spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] }));
  let log = "";
  let importing = false;
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
    const line = text
      .trim()
      .split(/[\r\n]+/)
      .pop();
    if (line && !importing) progress(`base from packages: ${line.replace(/^I: /, "")}`);
  });
  child.stdin.on("error", () => {}).end(input);
  const ended = new Promise((resolve) => {
    child.on("error", (error) => {
      log += error.message;
      resolve(127);
    });
    child.on("close", resolve);
  });

  // Minutes pass before the first byte, and an engine does not wait so long for a request.
  await Promise.race([once(child.stdout, "readable"), ended]);
  importing = true;
  progress("importing the base");
  const upload = new PassThrough();
  child.stdout.pipe(upload, { end: false });
  void ended.then((code) => {
    if (code === 0) upload.end();
    else
      upload.destroy(new SetupError(`mmdebstrap failed (exit code ${code}).\n\n${excerpt(log)}`));
  });

  // The tag goes with the name: Podman overlooks it as a parameter of its own.
  const query = new URLSearchParams({ fromSrc: "-", repo: name });
  query.append("changes", 'LABEL clawdspace.base="1"');
  query.append("changes", 'CMD ["bash"]');
  const answer = await engineRequest(address, {
    method: "POST",
    path: `/images/create?${query}`,
    headers: { "content-type": "application/x-tar" },
    body: upload,
  });
  await followMessages(answer, () => {});
}

/**
 * Ties a command to this process (killed, we must not leave it working on a folder that the next
 * run clears) and gives it a scratch folder in memory where there is plenty: unpacking hundreds
 * of packages is disk-bound. The mount is private to the command and vanishes with it.
 */
function inScratch(argv, scratch) {
  const tied = ["setpriv", "--pdeathsig", "TERM", ...argv];
  if (availableMemory() < MEMORY_FOR_SCRATCH) return tied;
  const mount = `mount -t tmpfs -o size=${SCRATCH_BYTES},mode=0755 clawdspace ${scratch} || true`;
  return ["unshare", "--mount", "sh", "-c", `${mount}; exec "$@"`, "sh", ...tied];
}

function availableMemory() {
  const kibibytes = readFileSync("/proc/meminfo", "utf8").match(/^MemAvailable:\s+(\d+)/m)?.[1];
  return Number(kibibytes ?? 0) * 1024;
}

/** @returns {Promise<string[]>} packages.txt, less what is optional and not to be had */
async function listedPackages(progress) {
  const text = readFiles(ROOT, [PACKAGE_FILES[0]])[0].content.toString();
  const entries = parsePackages(text);
  await updateLists(progress);
  const chosen = [];
  for (const { name, optional } of entries) {
    if (!optional || (await packageExists(name))) chosen.push(name);
  }
  return chosen;
}

/** @returns {{ name: string, optional: boolean }[]} */
export function parsePackages(text) {
  return text
    .replace(/#.*/g, "")
    .split(/\s+/)
    .filter((entry) => entry !== "")
    .map((entry) => ({ name: entry.replace(/\?$/, ""), optional: entry.endsWith("?") }));
}

/** The mirrors this machine itself uses, as sources.list lines. */
async function hostSources(codename, id) {
  const format = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)";
  const output = await run(["apt-get", "indextargets", "--format", format, "Created-By: Packages"]);
  const lines = sourceLines(output, codename);
  if (lines.length > 0) return `${lines.join("\n")}\n`;
  return id === "ubuntu"
    ? `deb http://archive.ubuntu.com/ubuntu ${codename} main universe\n`
    : `deb http://deb.debian.org/debian ${codename} main\n`;
}

/**
 * Keeps the distribution's own releases of what apt has configured: a third party's repository
 * has no place in the sandbox.
 * @param {string} targets lines of URI, release, component and key
 */
export function sourceLines(targets, codename) {
  const releases = ["", "-updates", "-security"].map((suffix) => codename + suffix);
  const lines = targets.split("\n").flatMap((line) => {
    const [uri, release, component, key] = line.split(" ");
    if (!uri || !component || !releases.includes(release)) return [];
    const option = key?.startsWith("/") ? `[signed-by=${key}] ` : "";
    return [`deb ${option}${uri.replace(/\/$/, "")} ${release} ${component}`];
  });
  return [...new Set(lines)];
}

/** How this machine's apt fetches (a proxy, a certificate), in the words of apt.conf. */
async function hostAptOptions() {
  const output = await run(["apt-config", "dump", "--format", '%f "%v";%n', "Acquire"]);
  return output.split("\n").filter((line) => /^Acquire::(https?|Check-)\S+ "[^"]+";$/i.test(line));
}

/** A folder on disk (in /tmp there may be too little room), and none left from a killed run. */
async function scratchFolder() {
  const left = readdirSync(SCRATCH_PARENT).filter((name) => name.startsWith(SCRATCH_PREFIX));
  for (const name of left) await removeTree(join(SCRATCH_PARENT, name));
  const folder = join(SCRATCH_PARENT, SCRATCH_PREFIX + process.pid);
  mkdirSync(folder, { mode: 0o755 });
  return folder;
}

function removeTree(folder) {
  return run(asRoot(["rm", "-rf", "--one-file-system", folder]));
}
