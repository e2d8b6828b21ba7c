// What one `GET /api/nodes` costs the daemon, with 1 to 1000 nodes that are made up: `node bench/nodes.mjs` after a build.
import { createRequire } from "node:module";
import { performance } from "node:perf_hooks";
import { Fleet } from "../packages/api/dist/nodes/fleet.js";
import { nodeRoutes } from "../packages/api/dist/routes/nodes.js";

// What the daemon has installed.
const daemons = createRequire(new URL("../packages/api/package.json", import.meta.url));
const { fastify } = daemons("fastify");
const { serializerCompiler, validatorCompiler } = daemons("fastify-type-provider-zod");

const GIB = 1024 ** 3;
const ROUNDS = 200;

const status = (at) => ({
  version: "0.1.0",
  capabilities: { gpu: true, arch: "x64", platform: "linux", cpus: 8, memory: 64 * GIB },
  load: {
    ...{ memoryFree: 8 * GIB, cpusFree: 3.5, spaces: 2, drained: false, runtimes: ["runc"] },
    ...{ images: ["clawdspace:latest"], labels: { disk: "ssd" } },
    gpus: [0, 1].map((index) => ({
      ...{ id: `GPU-${at}-${index}`, index, kind: "nvidia", name: "RTX", memory: 24 * GIB },
      usedBy: ["train"],
    })),
  },
});

/** The route on its own, with a fleet in whose memory all nodes are online. */
async function serve(count) {
  const machines = Array.from({ length: count - 1 }, (_, at) => ({
    ...{ name: `node-${at}`, url: `http://127.0.0.1:${at + 1}`, self: false, online: false },
  }));
  const fleet = new Fleet({
    ...{ refreshMs: 0, name: "own", url: "", instance: "", log: undefined, onChange() {} },
    discover: async () => ({ machines }),
    secret: async () => Buffer.alloc(32),
    status: async () => status("own"),
  });
  await fleet.refresh();
  for (const [at, peer] of fleet.peers().entries()) {
    const told = { ...status(at), spaces: ["one", "two"], node: peer.machine.name };
    Object.assign(peer, { state: "online", status: told, latencyMs: 1.5, lastSeenAt: Date.now() });
  }
  const app = fastify();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  await app.register(nodeRoutes({ fleet }), { prefix: "/api/nodes" });
  return { app, fleet };
}

async function measure(task) {
  for (let round = 0; round < ROUNDS; round++) await task();
  const times = [];
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now();
    await task();
    times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  return (share) => (times[Math.floor(share * ROUNDS)] ?? 0).toFixed(3).padStart(10);
}

console.log("nodes   bytes  answer ms    p95 ms  request ms    p95 ms");
for (const count of [1, 10, 100, 1000]) {
  const { app, fleet } = await serve(count);
  const { body } = await app.inject("/api/nodes");
  if (JSON.parse(body).nodes?.length !== count) throw new Error(body.slice(0, 300));
  const answer = await measure(() => fleet.text());
  // With what takes a request apart and puts the answer's bytes together; in-process, so without a network.
  const request = await measure(() => app.inject("/api/nodes"));
  const head = `${String(count).padStart(5)} ${String(body.length).padStart(7)}`;
  console.log(head, answer(0.5), answer(0.95), request(0.5), request(0.95));
  await fleet.stop();
}
