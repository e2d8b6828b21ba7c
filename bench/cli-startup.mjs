// How long the command line takes to start, beside Node.js itself and Node.js with one HTTP request, in turns in one run.
// CPU time is told as well: it hardly depends on what else the machine does.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startDaemon } from "./daemon.mjs";
import { summary } from "./measure.mjs";

const ROUNDS = 25;
const MAIN = join(import.meta.dirname, "../packages/cli/build/package/dist/cli/main.js");
if (!existsSync(MAIN)) throw new Error("Run `npm run build` first.");

const daemon = await startDaemon();
const { url, key } = daemon;
const request = `require("http").get("${url}/api/spaces",{headers:{authorization:"Bearer ${key}"}},(a)=>a.resume())`;
const fetched = `fetch("${url}/api/spaces",{headers:{authorization:"Bearer ${key}"}}).then((a)=>a.text())`;
const commands = {
  "node -e 0": ["-e", "0"],
  "node, one request by http": ["-e", request],
  "node, one request by fetch": ["-e", fetched],
  "clawdspace --version": [MAIN, "--version"],
  "clawdspace list": [MAIN, "list"],
};
const env = { ...process.env, CLAWDSPACE_SERVER: url, CLAWDSPACE_KEY: key };

/** Runs it and resolves to milliseconds: what the clock says, and what of the CPU it took. */
async function timedProcess(args) {
  const start = performance.now();
  const child = spawn(
    "bash",
    ["-c", 'TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>&1', "bash", process.execPath, ...args],
    {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let times = "";
  child.stderr.on("data", (data) => {
    times += data;
  });
  const [exitCode] = await once(child, "close");
  if (exitCode !== 0) throw new Error(`${args.join(" ")} ended with ${exitCode}`);
  const [user, system] = times.trim().split(" ").map(Number);
  return { wall: performance.now() - start, cpu: (user + system) * 1000 };
}

const samples = Object.fromEntries(Object.keys(commands).map((name) => [name, []]));
try {
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, args] of Object.entries(commands))
      samples[name].push(await timedProcess(args));
  }
} finally {
  await daemon.stop();
}
console.log(`${"median and p90, ms".padEnd(28)}     wall      p90      cpu   n=${ROUNDS}`);
const medians = {};
for (const [name, all] of Object.entries(samples)) {
  const wall = summary(all.map((each) => each.wall));
  const cpu = summary(all.map((each) => each.cpu));
  medians[name] = wall.median;
  const cells = [wall.median, wall.p90, cpu.median].map((value) => value.toFixed(0).padStart(9));
  console.log(`${name.padEnd(28)}${cells.join("")}`);
}
for (const [name, beside] of [
  ["clawdspace --version", "node -e 0"],
  ["clawdspace list", "node, one request by http"],
  ["clawdspace list", "node, one request by fetch"],
]) {
  console.log(`${name} is ${(medians[name] / medians[beside]).toFixed(2)} × ${beside}`);
}
