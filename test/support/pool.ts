import { setTimeout as delay } from "node:timers/promises";
import { type Daemon, docker } from "./daemon.js";

const PATIENCE_MS = 30_000;

/** Waits until a condition holds. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not in ${PATIENCE_MS} ms: ${what}`);
    await delay(30);
  }
}

/** How many containers the daemon has waiting, their guest agents connected. */
async function ready(daemon: Daemon): Promise<number> {
  const text = await (await daemon.request("GET", "/metrics")).text();
  return Number(/^clawdspace_pool_ready (\d+)/m.exec(text)?.[1]);
}

/** Waits until `count` containers wait. */
export async function untilReady(daemon: Daemon, count = 1): Promise<void> {
  await until(`${count} containers wait`, async () => (await ready(daemon)) === count);
}

/** The containers of a daemon's pool, in any state. */
export async function poolOf(daemon: Daemon): Promise<{ id: string; state: string }[]> {
  const filters = { label: [`clawdspace.namespace=${daemon.namespace}`] };
  const all = await docker.listContainers({ all: true, filters });
  return all
    .filter(({ Names }) => Names[0]?.startsWith(`/${daemon.namespace}.pool.`))
    .map(({ Id, State }) => ({ id: Id, state: State }));
}

/** Whether a space is a container that waited before. */
export async function isClaimed(daemon: Daemon, space: string): Promise<boolean> {
  const { Config } = await docker.getContainer(`${daemon.namespace}-${space}`).inspect();
  return Config.Labels["clawdspace.pool"] !== undefined;
}
