// `node bench/scale.mjs [10 100 500 1000]`: what many spaces cost: lists, creates, commands, and what the daemon itself uses.
// The first 200 are made by the daemon and then sleep; those beyond are containers of the same make that never ran, which
// the daemon takes in as stopped spaces: a list, the mirror and the sweeps treat them alike, and a thousand are made in time.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { docker, startDaemon } from "./daemon.mjs";
import { sideBySide, summary, timed } from "./measure.mjs";
import { writeResults } from "./results.mjs";

const sizes = process.argv.slice(2).map(Number);
if (sizes.length === 0) sizes.push(10, 100, 500, 1000);
const AT_ONCE = 4;
const IDLE_SECONDS = 10;
const AWAKE = 200;
const RATE_SECONDS = 10;
const TICKS_PER_SECOND = 100;

const daemon = await startDaemon({
  CLAWDSPACE_POOL: "1",
  IDLE_TIMEOUT_MS: "0",
  CLAWDSPACE_STOP_AFTER_MS: "0",
});
const { api, namespace, metric, pid } = daemon;
const filters = { label: [`clawdspace.namespace=${namespace}`] };
/** Without network: what is measured is the daemon, not the engine's bridge. */
const options = { template: "offline", memory: "64m" };
const nameOf = (index) => `space-${index}`;
const exec = (index) => api("POST", `/spaces/${nameOf(index)}/exec`, { command: ["true"] });
const calls = () => metric("clawdspace_engine_calls_total");
const cpuMs = () => {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, "utf8")
    .split(") ")[1]
    .split(" ")
    .slice(11);
  return ((Number(user) + Number(system)) * 1000) / TICKS_PER_SECOND;
};
const rssMiB = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
const round = (value) => Math.round(value * 100) / 100;
/** Runs a task for each index, so many at once. */
async function each(from, to, task) {
  let next = from;
  const work = async () => {
    while (next < to) await task(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** The container of a space that was made anew, whose labels tell its spec. */
async function findModel() {
  for (let index = 0; ; index++) {
    const found = await docker.getContainer(`${namespace}-${nameOf(index)}`).inspect();
    if (found.Config.Labels["clawdspace.spec"]) return found;
  }
}

async function makeStopped(model, index) {
  const name = nameOf(index);
  const { Image, Cmd, User, WorkingDir, Labels } = model.Config;
  const { "clawdspace.create": _create, ...labels } = Labels;
  const container = await docker.createContainer({
    name: `${namespace}.new.${name}`,
    ...{ Image, Cmd, User, WorkingDir, Entrypoint: [], OpenStdin: true },
    Labels: { ...labels, "clawdspace.space": name },
    HostConfig: {
      ...model.HostConfig,
      Mounts: model.HostConfig.Mounts.map((mount) =>
        mount.Target === "/workspace" ? { ...mount, Source: `${namespace}-vol-${name}` } : mount,
      ),
    },
  });
  await container.rename({ name: `${namespace}-${name}` });
}

const results = [];
let there = 0;
try {
  for (const size of sizes) {
    await each(there, Math.min(size, AWAKE), async (index) => {
      await api("POST", "/spaces", { name: nameOf(index), ...options });
      await api("POST", `/spaces/${nameOf(index)}/stop`);
    });
    if (size > AWAKE) {
      const model = await findModel();
      await each(Math.max(there, AWAKE), size, (index) => makeStopped(model, index));
    }
    while ((await api("GET", "/spaces")).spaces.length < size) await delay(100);
    there = size;
    await delay(1000);
    const callsBefore = await calls();
    const list = await sideBySide({
      name: "list",
      rounds: 25,
      ours: () => timed(() => api("GET", "/spaces")),
      raw: () => timed(() => docker.listContainers({ all: true, filters })),
    });
    const listCalls = (await calls()) - callsBefore;
    await api("POST", `/spaces/${nameOf(0)}/start`);
    const samples = { exec: [], stats: [], create: [] };
    for (let i = 0; i < 20; i++) samples.exec.push(await timed(() => exec(0)));
    for (let i = 0; i < 20; i++) {
      samples.stats.push(await timed(() => api("GET", `/spaces/${nameOf(0)}/stats`)));
    }
    await api("POST", `/spaces/${nameOf(0)}/stop`);
    for (let i = 0; i < 3; i++) {
      while ((await metric("clawdspace_pool_ready")) < 1) await delay(50);
      samples.create.push(
        await timed(() => api("POST", "/spaces", { name: "one-more", ...options })),
      );
      await api("DELETE", "/spaces/one-more?removeVolume=true");
    }
    await delay(3000);
    const [idleCpu, idleCalls] = [cpuMs(), await calls()];
    await delay(IDLE_SECONDS * 1000);
    const result = {
      size,
      list: { ours: list.ours, raw: list.raw, ratio: list.ratio, engineCalls: listCalls },
      exec: summary(samples.exec),
      stats: summary(samples.stats),
      create: summary(samples.create),
      daemonMiB: rssMiB(),
      idle: {
        cpuPercent: (cpuMs() - idleCpu) / (IDLE_SECONDS * 10),
        engineCallsPerMinute: (((await calls()) - idleCalls) * 60) / IDLE_SECONDS,
      },
    };
    results.push(result);
    console.log(
      JSON.stringify(result, (_key, value) => (typeof value === "number" ? round(value) : value)),
    );
  }
  const awake = Math.min(AWAKE, there);
  await each(0, awake, (index) => api("POST", `/spaces/${nameOf(index)}/start`));
  const cpuBefore = cpuMs();
  const took = [];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: awake }, async (_, index) => {
      for (let second = 0; second < RATE_SECONDS; second++) {
        const at = startedAt + (second + index / awake) * 1000;
        await delay(Math.max(0, at - performance.now()));
        took.push(await timed(() => exec(index)));
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  took.sort((a, b) => a - b);
  const rate = {
    spaces: awake,
    execs: took.length,
    ...summary(took),
    p99: took[Math.floor(took.length * 0.99)],
    daemonCores: (cpuMs() - cpuBefore) / 1000 / seconds,
  };
  results.push({ execEachSecond: rate });
  console.log(
    JSON.stringify({ execEachSecond: rate }, (_key, value) =>
      typeof value === "number" ? round(value) : value,
    ),
  );
} finally {
  await each(0, there, (index) =>
    api("DELETE", `/spaces/${nameOf(index)}?removeVolume=true`).catch(() => {}),
  );
  await daemon.stop();
}
await writeResults("scale", results);
