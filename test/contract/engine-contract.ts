import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe } from "vitest";
import type { ContainerSpec, Engine } from "../../packages/api/src/engine/engine.js";
import { archiveContract } from "./engine-contract-archive.js";
import { containerContract } from "./engine-contract-containers.js";
import { eventContract } from "./engine-contract-events.js";
import { execContract } from "./engine-contract-exec.js";
import { networkContract } from "./engine-contract-networks.js";
import { volumeContract } from "./engine-contract-volumes.js";

/** An engine under test, and names and labels that nobody else uses on it. */
export interface Bench {
  engine: Engine;
  ours: Record<string, string>;
  /** A name with this test's own prefix. */
  name(suffix: string): string;
  spec(suffix: string, changes?: Partial<ContainerSpec>): ContainerSpec;
  /** Creates and starts a container of that spec. */
  running(suffix: string, changes?: Partial<ContainerSpec>): Promise<string>;
}

/** Every behaviour of an engine that the daemon relies on, as one suite for every implementation of the interface. */
export function engineContract(
  label: string,
  make: () => Promise<{ engine: Engine; dispose: () => Promise<void> }>,
): void {
  describe(`engine contract: ${label}`, () => {
    const bench = {} as Bench;
    let dispose = async () => {};

    beforeAll(async () => {
      const made = await make();
      dispose = made.dispose;
      Object.assign(bench, benchOf(made.engine));
    });

    afterAll(async () => {
      await removeAll(bench.engine, bench.ours);
      await dispose();
    });

    containerContract(bench);
    volumeContract(bench);
    networkContract(bench);
    execContract(bench);
    archiveContract(bench);
    eventContract(bench);
  });
}

export function benchOf(engine: Engine): Bench {
  const prefix = `cs-contract-${randomBytes(4).toString("hex")}`;
  const ours = { "clawdspace.namespace": prefix };
  const spec = (suffix: string, changes: Partial<ContainerSpec> = {}): ContainerSpec => ({
    name: `${prefix}-${suffix}`,
    image: "clawdspace:latest",
    command: ["sleep", "infinity"],
    env: {},
    user: "1001:1001",
    workdir: "/workspace",
    hostname: "contract",
    labels: ours,
    memoryBytes: 64 * 1024 ** 2,
    cpus: 1,
    pids: 64,
    volumes: [],
    tmpfs: [],
    network: "none",
    readonlyRootfs: false,
    init: true,
    ...changes,
  });
  return {
    engine,
    ours,
    name: (suffix) => `${prefix}-${suffix}`,
    spec,
    running: async (suffix, changes) => {
      const id = await engine.createContainer(spec(suffix, changes));
      await engine.startContainer(id);
      return id;
    },
  };
}

export async function removeAll(engine: Engine, ours: Record<string, string>): Promise<void> {
  const containers = await engine.listContainers(ours);
  await Promise.all(containers.map(({ id }) => engine.removeContainer(id)));
  const volumes = await engine.listVolumes(ours);
  await Promise.all(volumes.map(({ name }) => engine.removeVolume(name)));
}
