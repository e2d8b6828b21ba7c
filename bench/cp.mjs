// `clawdspace cp` beside `docker cp`, both ways, in one run: one file, and many small ones, each in two sizes, so that it
// shows whether memory grows with what is copied. Peak memory is the most resident memory of the command line's process, and
// of the daemon's during the copy.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDaemon } from "./daemon.mjs";

const MAIN = join(import.meta.dirname, "../packages/cli/build/package/dist/cli/main.js");
const MIB = [256, 1024];
const FILES = [5_000, 20_000];
const folder = mkdtempSync(join(tmpdir(), "clawdspace-cp-"));
const daemon = await startDaemon();
const env = { ...process.env, CLAWDSPACE_SERVER: daemon.url, CLAWDSPACE_KEY: daemon.key };
const container = `${daemon.namespace}-bench`;

/** The most resident memory of a process so far, in MiB. */
const peak = (pid) => {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) / 1024;
};

/** Runs it; resolves to seconds and its own peak memory. */
async function run(command, args) {
  // The kernel's count of the daemon's peak begins anew.
  writeFileSync(`/proc/${daemon.pid}/clear_refs`, "5");
  const start = performance.now();
  const child = spawn(command, args, { env, stdio: ["ignore", "ignore", "inherit"] });
  let most = 0;
  const watch = setInterval(() => {
    try {
      most = Math.max(most, peak(child.pid));
    } catch {}
  }, 20);
  const [code] = await once(child, "exit");
  clearInterval(watch);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}`);
  return { seconds: (performance.now() - start) / 1000, most, daemon: peak(daemon.pid) };
}

const ours = (...args) => run(process.execPath, [MAIN, "cp", "-q", ...args]);
const theirs = (from, to) => run("docker", ["cp", from, to]);
const inSpace = (command) => daemon.api("POST", "/spaces/bench/exec", { command });

const makeFile = (path, mib) =>
  execFileSync("bash", ["-c", `head -c ${mib}M /dev/urandom > "$1"`, "bash", path]);

function makeFiles(path, count) {
  for (let n = 0; n < count; n++) {
    const below = join(path, `${Math.floor(n / 200)}`);
    if (n % 200 === 0) mkdirSync(below, { recursive: true });
    writeFileSync(join(below, `${n}.txt`), `file ${n}\n`.repeat(20));
  }
}

try {
  await daemon.api("POST", "/spaces", { name: "bench", memory: "1g" });
  const kinds = [
    ...MIB.map((size) => [`${size} MiB`, (local) => makeFile(local, size)]),
    ...FILES.map((count) => [`${count} files`, (local) => makeFiles(local, count)]),
  ];
  console.log(`${"".padEnd(22)}  docker cp      ours   ratio   CLI peak   daemon peak`);
  for (const [what, make] of kinds) {
    const local = join(folder, "local");
    make(local);
    const rows = [
      [
        "to the space",
        () => theirs(local, `${container}:/workspace/raw`),
        () => ours(local, "bench:/ours"),
      ],
      [
        "from the space",
        () => theirs(`${container}:/workspace/ours`, join(folder, "raw")),
        () => ours("bench:/ours", join(folder, "ours")),
      ],
    ];
    for (const [way, raw, own] of rows) {
      const [one, other] = [await raw(), await own()];
      const cells = [
        `${one.seconds.toFixed(2)} s`,
        `${other.seconds.toFixed(2)} s`,
        (other.seconds / one.seconds).toFixed(2),
        `${other.most.toFixed(0)} MiB`,
        `${other.daemon.toFixed(0)} MiB`,
      ];
      console.log(
        `${`${what} ${way}`.padEnd(28)}${cells.map((cell) => cell.padStart(10)).join("")}`,
      );
    }
    execFileSync("diff", ["-rq", local, join(folder, "ours")]);
    for (const each of ["local", "ours", "raw"]) rmSync(join(folder, each), { recursive: true });
    await inSpace("rm -rf /workspace/ours /workspace/raw");
  }
} finally {
  await daemon.stop();
  rmSync(folder, { recursive: true, force: true });
}
