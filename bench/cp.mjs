// `clawdspace cp` beside `docker cp`, both ways, in one run: one file of 1 GiB, and 20,000 small ones. Peak memory is the
// resident memory of the command line's process, and of the daemon's during the copy.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDaemon } from "./daemon.mjs";

const MAIN = join(import.meta.dirname, "../packages/cli/build/package/dist/cli/main.js");
const FILES = 20_000;
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

try {
  await daemon.api("POST", "/spaces", { name: "bench", memory: "1g" });
  execFileSync("bash", ["-c", `head -c 1G /dev/urandom > "$1/big"`, "bash", folder]);
  mkdirSync(join(folder, "many"));
  for (let n = 0; n < FILES; n++) {
    if (n % 200 === 0) mkdirSync(join(folder, "many", `${n / 200}`));
    writeFileSync(
      join(folder, "many", `${Math.floor(n / 200)}`, `${n}.txt`),
      `file ${n}\n`.repeat(20),
    );
  }
  console.log(`${"".padEnd(22)}  docker cp      ours   ratio   CLI peak   daemon peak`);
  for (const what of ["big", "many"]) {
    const local = join(folder, what);
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
        `${`${what === "big" ? "1 GiB" : "20,000 files"} ${way}`.padEnd(28)}${cells.map((cell) => cell.padStart(10)).join("")}`,
      );
    }
    execFileSync("diff", ["-rq", local, join(folder, "ours")]);
    rmSync(join(folder, "ours"), { recursive: true });
    rmSync(join(folder, "raw"), { recursive: true });
    await inSpace("rm -rf /workspace/ours /workspace/raw");
  }
} finally {
  await daemon.stop();
  rmSync(folder, { recursive: true, force: true });
}
