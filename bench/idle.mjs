// What spaces cost while nobody uses them: the daemon's CPU and its calls to the engine in a minute, at a hundred spaces that
// are awake and then asleep; and what each kind of sleep frees of a space that holds 200 MiB.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { docker, startDaemon } from "./daemon.mjs";

const SPACES = 100;
const AT_ONCE = 4;
const MINUTE_MS = 60_000;

const daemon = await startDaemon({ CLAWDSPACE_STOP_AFTER_MS: "0" });
const { api, namespace, url, key, pid } = daemon;
const names = Array.from({ length: SPACES }, (_, n) => `idle-${n}`);
const results = { spaces: SPACES };

async function forAll(task) {
  const left = [...names];
  const work = async () => {
    for (let name = left.pop(); name; name = left.pop()) await task(name);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function engineCalls() {
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${key}` } });
  const calls = new Map();
  for (const line of (await answer.text()).split("\n")) {
    const [, call, count] = /^clawdspace_engine_calls_total\{call="(\w+)"\} (\d+)/.exec(line) ?? [];
    if (call) calls.set(call, Number(count));
  }
  return calls;
}

const hertz = Number(execFileSync("getconf", ["CLK_TCK"]));
function cpuMs() {
  const [, , ...fields] = readFileSync(`/proc/${pid}/stat`, "utf8").split(/\) | /);
  // utime and stime are the fields 14 and 15 of the line.
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / hertz;
}

async function minute() {
  await delay(10_000);
  const [calls, cpu] = [await engineCalls(), cpuMs()];
  await delay(MINUTE_MS);
  const after = await engineCalls();
  const made = [...after].map(([call, count]) => [call, count - (calls.get(call) ?? 0)]);
  const rssMiB = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
  return {
    cpuMsPerMinute: cpuMs() - cpu,
    engineCallsPerMinute: Object.fromEntries(made.filter(([, count]) => count > 0)),
    rssMiB: Math.round(rssMiB / 1024),
  };
}

async function memoryOf(name) {
  const { stats } = await api("GET", `/spaces/${name}/stats`);
  return Math.round(stats.memoryUsageBytes / 1024 ** 2);
}

try {
  const program = "x = bytearray(200 * 1024 ** 2); import time; time.sleep(3600)";
  await api("POST", "/spaces", { name: "holder", memory: "512m" });
  await api("POST", "/spaces/holder/exec", {
    command: ["sh", "-c", 'setsid python3 -c "$0" >/dev/null 2>&1 &', program],
  });
  await delay(3000);
  const tiers = { awakeMiB: await memoryOf("holder") };
  await api("POST", "/spaces/holder/stop");
  tiers.pausedMiB = await memoryOf("holder");
  await docker.getContainer(`${namespace}-holder`).unpause();
  await docker.getContainer(`${namespace}-holder`).stop({ t: 2 });
  await delay(1000);
  tiers.stoppedMiB = await memoryOf("holder");
  await api("DELETE", "/spaces/holder?removeVolume=true");
  results.tiers = tiers;

  await forAll((name) => api("POST", "/spaces", { name, memory: "64m", template: "offline" }));
  results.awake = await minute();
  await forAll((name) => api("POST", `/spaces/${name}/stop`));
  results.asleep = await minute();
  console.log(JSON.stringify(results, null, 2));
  await forAll((name) => api("DELETE", `/spaces/${name}?removeVolume=true`));
} finally {
  await daemon.stop();
}
