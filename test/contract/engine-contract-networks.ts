import { randomInt } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import type { Bench } from "./engine-contract.js";

/** Networks with addresses that we give, and what the engine tells of a container's confinement. */
export function networkContract(bench: Bench): void {
  const bridge = (letter: string) => `cs-${bench.name("").slice(-9, -1)}${letter}`;

  describe("networks", () => {
    // Where a test fails before it has removed its network.
    afterAll(async () => {
      for (const { id } of await bench.engine.listContainers(bench.ours)) {
        await bench.engine.removeContainer(id);
      }
      for (const suffix of ["net", "net-address"]) {
        await bench.engine.removeNetwork(bench.name(suffix));
      }
    });

    test("one is made, found and removed; the engine chooses a subnet", async () => {
      const { engine, ours } = bench;
      const name = bench.name("net");
      expect(await engine.findNetwork(name)).toBeUndefined();
      await engine.createNetwork({ name, bridge: bridge("a"), labels: ours });
      const found = await engine.findNetwork(name);
      expect(found).toMatchObject({ name, bridge: bridge("a"), labels: ours });
      expect(found?.subnet).toMatch(/^\d+\.\d+\.\d+\.\d+\/\d+$/);
      await expect(
        engine.createNetwork({ name, bridge: bridge("b"), labels: ours }),
      ).rejects.toMatchObject({ kind: "conflict" });
      await engine.removeNetwork(name);
      await engine.removeNetwork(name);
      expect(await engine.findNetwork(name)).toBeUndefined();
    });

    test("a container has the address that it was given, and holds the network while it runs", async () => {
      const { engine, ours } = bench;
      const network = bench.name("net-address");
      const net = `198.18.${randomInt(256)}`;
      const [subnet, gateway, address] = [`${net}.0/28`, `${net}.1`, `${net}.9`];
      await engine.createNetwork({
        name: network,
        bridge: bridge("c"),
        subnet,
        gateway,
        labels: ours,
      });
      expect(await engine.findNetwork(network)).toMatchObject({ subnet, gateway });
      const id = await bench.running("net-address", { network, address });
      expect((await engine.inspectContainer(id)).security).toMatchObject({
        networkMode: network,
        address,
      });
      await expect(engine.removeNetwork(network)).rejects.toMatchObject({ kind: "conflict" });
      await engine.stopContainer(id, 0);
      await engine.removeNetwork(network);
      await expect(engine.startContainer(id)).rejects.toMatchObject({ kind: "not_found" });
      await engine.createNetwork({
        name: network,
        bridge: bridge("c"),
        subnet,
        gateway,
        labels: ours,
      });
      await engine.reconnect(id, network, address);
      await engine.startContainer(id);
      expect((await engine.inspectContainer(id)).security).toMatchObject({ address });
      await engine.removeContainer(id);
      await engine.removeNetwork(network);
    });
  });

  describe("confinement", () => {
    test("is told as it was asked for", async () => {
      const { engine } = bench;
      const memoryBytes = 32 * 1024 ** 2;
      const tmpfs = [{ target: "/tmp", sizeBytes: 2 ** 20, mode: 0o1777, exec: false }];
      const id = await engine.createContainer(
        bench.spec("confined", { memoryBytes, cpus: 0.5, pids: 20, readonlyRootfs: true, tmpfs }),
      );
      const { security } = await engine.inspectContainer(id);
      expect(security).toMatchObject({
        user: "1001:1001",
        privileged: false,
        capabilities: [],
        noNewPrivileges: true,
        seccomp: "default",
        runtime: "runc",
        readonlyRootfs: true,
        networkMode: "none",
        memoryBytes,
        memorySwapBytes: memoryBytes,
        cpus: 0.5,
        pids: 20,
        hostMounts: [],
      });
      expect(Object.keys(security.tmpfs)).toEqual(["/tmp"]);
      expect(security.maskedPaths).toContain("/proc/kcore");
      expect(security.readonlyPaths).toContain("/proc/sys");
    });

    test("a profile in place of the engine's shows", async () => {
      const { engine } = bench;
      const seccompProfile = JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [] });
      const id = await engine.createContainer(bench.spec("profiled", { seccompProfile }));
      expect((await engine.inspectContainer(id)).security.seccomp).toBe("custom");
    });
  });
}
