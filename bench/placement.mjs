// What choosing a node costs, among 1 to 1000 that are made up: `node bench/placement.mjs` after a build.
import { performance } from "node:perf_hooks";
import { judge } from "../packages/api/dist/nodes/placement.js";

const GIB = 1024 ** 3;
const ROUNDS = 200;
const wanted = {
  memoryBytes: 2 * GIB,
  cpus: 1,
  gpus: { count: 1 },
  image: "clawdspace:latest",
  mayPull: true,
  runtime: "runc",
  needs: { arch: "x64", labels: { disk: "ssd" } },
};

const node = (at) => ({
  name: `node-${at}`,
  url: "",
  self: at === 0,
  status: "online",
  state: "online",
  latencyMs: 1,
  capabilities: { gpu: true, arch: "x64", platform: "linux", cpus: 8, memory: 64 * GIB },
  load: {
    memoryFree: ((at * 7919) % 64) * GIB,
    cpusFree: (at * 31) % 8,
    spaces: at % 20,
    drained: at % 10 === 9,
    runtimes: ["runc", "runsc"],
    images: at % 2 ? ["clawdspace:latest"] : [],
    labels: { disk: at % 3 ? "ssd" : "hdd" },
    gpus: [0, 1].map((index) => ({
      ...{ id: `GPU-${at}-${index}`, index, kind: "nvidia", name: "RTX", memory: 24 * GIB },
      usedBy: at % 4 ? [] : ["train"],
    })),
  },
});

console.log("nodes  median ms     p95 ms");
for (const count of [1, 10, 100, 1000]) {
  const nodes = Array.from({ length: count }, (_, at) => node(at));
  for (let round = 0; round < ROUNDS; round++) judge(wanted, nodes);
  const times = Array.from({ length: ROUNDS }, () => {
    const begun = performance.now();
    judge(wanted, nodes);
    return performance.now() - begun;
  }).sort((a, b) => a - b);
  const at = (share) => (times[Math.floor(share * ROUNDS)] ?? 0).toFixed(4).padStart(10);
  console.log(`${String(count).padStart(5)} ${at(0.5)} ${at(0.95)}`);
}
