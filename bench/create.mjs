// What a create costs, warm, cold and in a burst, beside the raw Docker API call that does the same work in the same run.
import { setTimeout as delay } from "node:timers/promises";
import { docker, startDaemon } from "./daemon.mjs";
import { HEAD, measurer, timed } from "./measure.mjs";
import * as raw from "./raw.mjs";
import { writeResults } from "./results.mjs";

const POOL = 8;
const BURST = 20;
const command = { command: ["true"] };
const results = [];
const measure = measurer(results);

/** A daemon with its pool, and the raw call in the daemon's own network. */
async function startBench(pool) {
  const daemon = await startDaemon({ CLAWDSPACE_POOL: `${pool}` });
  const { api, namespace, metric } = daemon;
  let made = 0;
  const name = () => `made-${made++}`;
  const create = (space, options) => api("POST", "/spaces", { name: space, ...options });
  const remove = (space) => api("DELETE", `/spaces/${space}?removeVolume=true`);
  /** Until so many wait, which is as many as should: then the pool makes nothing that would be measured too. */
  const settled = async (count) => {
    while ((await metric("clawdspace_pool_ready")) < count) await delay(50);
    await delay(300);
  };
  await daemon.warmUp();
  // Raises the network and publishes the guest agent.
  await create("first");
  const model = await docker.getContainer(`${namespace}-first`).inspect();
  await remove("first");
  const [{ Name: network }] = await docker.listNetworks({
    filters: { label: [`clawdspace.namespace=${namespace}`] },
  });
  const rawCreate = () => raw.createContainer(namespace, network, model);
  return { ...daemon, name, create, remove, settled, rawCreate };
}

/** Measures a create alone, and one up to its first command's answer. */
async function creates(label, bench, rounds, ready) {
  const { api, name, create, remove, rawCreate } = bench;
  const ours = (then) => async () => {
    await ready();
    const space = name();
    const took = await timed(async () => {
      await create(space);
      await then(space);
    });
    await remove(space);
    return took;
  };
  const theirs = (then) => async () => {
    // Not while the pool makes what waits next.
    await ready();
    let fresh;
    const took = await timed(async () => {
      fresh = await rawCreate();
      await then(fresh);
    });
    await raw.removeContainer(fresh);
    return took;
  };
  await measure({
    name: `create (${label})`,
    rounds,
    ours: ours(async () => {}),
    raw: theirs(async () => {}),
  });
  await measure({
    name: `create (${label}) to first exec`,
    rounds,
    ours: ours((space) => api("POST", `/spaces/${space}/exec`, command)),
    raw: theirs((fresh) => raw.exec(fresh, ["true"])),
  });
}

console.log(HEAD);
const warm = await startBench(POOL);
try {
  // What was asked for decides how many wait.
  for (let i = 0; i < POOL + 2; i++) {
    const space = warm.name();
    await warm.create(space);
    await warm.remove(space);
  }
  await creates("warm", warm, 10, () => warm.settled(POOL));
  const burst = (make) => () =>
    timed(() => Promise.all(Array.from({ length: BURST }, (_, i) => make(i))));
  let spaces = [];
  await measure({
    name: `burst of ${BURST}, pool of ${POOL}`,
    rounds: 3,
    ours: async () => {
      await warm.settled(POOL);
      spaces = Array.from({ length: BURST }, () => warm.name());
      const took = await burst((i) => warm.create(spaces[i]))();
      await Promise.all(spaces.map(warm.remove));
      return took;
    },
    raw: async () => {
      await warm.settled(POOL);
      const fresh = [];
      const took = await burst(async (i) => {
        fresh[i] = await warm.rawCreate();
      })();
      await Promise.all(fresh.map(raw.removeContainer));
      return took;
    },
  });
} finally {
  await warm.stop();
}
const cold = await startBench(0);
try {
  await creates("cold", cold, 10, async () => {});
} finally {
  await cold.stop();
}
await writeResults("create", results);
