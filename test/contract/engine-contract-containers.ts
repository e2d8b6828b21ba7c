import { describe, expect, test } from "vitest";
import type { Bench } from "./engine-contract.js";

/** Life of containers: every state, every call in every state. */
export function containerContract(bench: Bench): void {
  describe("containers", () => {
    test("go from created over running and paused to stopped and gone", async () => {
      const { engine } = bench;
      const id = await engine.createContainer(bench.spec("life"));
      expect(id).toMatch(/^[0-9a-f]{64}$/);
      expect(await engine.inspectContainer(id)).toMatchObject({
        id,
        name: bench.name("life"),
        state: "created",
        startedAt: undefined,
        pid: 0,
      });
      await engine.startContainer(id);
      const running = await engine.inspectContainer(id);
      expect(running.state).toBe("running");
      expect(running.pid).toBeGreaterThan(0);
      expect(running.startedAt?.getTime()).toBeGreaterThanOrEqual(running.createdAt.getTime());
      await engine.pauseContainer(id);
      expect((await engine.inspectContainer(id)).state).toBe("paused");
      await engine.unpauseContainer(id);
      expect((await engine.inspectContainer(id)).state).toBe("running");
      await engine.stopContainer(id, 0);
      expect(await engine.inspectContainer(id)).toMatchObject({ state: "stopped", pid: 0 });
      await engine.startContainer(id);
      expect((await engine.inspectContainer(id)).state).toBe("running");
      await engine.removeContainer(id);
      await expect(engine.inspectContainer(id)).rejects.toMatchObject({ kind: "not_found" });
    });

    test("starting what runs, stopping what is stopped and removing what is gone is no error", async () => {
      const { engine } = bench;
      const id = await bench.running("twice");
      await engine.startContainer(id);
      await engine.stopContainer(id, 0);
      await engine.stopContainer(id, 0);
      await engine.removeContainer(id);
      await engine.removeContainer(id);
    });

    test("a removal that is asked for several times at once has always been done when it is answered", async () => {
      const { engine } = bench;
      const id = await bench.running("removed-at-once");
      await Promise.all(
        [0, 1, 2].map(async () => {
          await engine.removeContainer(id);
          await expect(engine.inspectContainer(id)).rejects.toMatchObject({ kind: "not_found" });
        }),
      );
    });

    test("a paused container is stopped and removed without waking it first", async () => {
      const { engine } = bench;
      const id = await bench.running("frozen");
      await engine.pauseContainer(id);
      await engine.stopContainer(id, 0);
      expect((await engine.inspectContainer(id)).state).toBe("stopped");
      await engine.startContainer(id);
      await engine.pauseContainer(id);
      await engine.removeContainer(id);
      await expect(engine.inspectContainer(id)).rejects.toMatchObject({ kind: "not_found" });
    });

    test("a change that the state doesn't allow is a conflict", async () => {
      const { engine } = bench;
      const conflict = { name: "EngineError", kind: "conflict" };
      const id = await engine.createContainer(bench.spec("states"));
      await expect(engine.pauseContainer(id)).rejects.toMatchObject(conflict);
      await expect(engine.unpauseContainer(id)).rejects.toMatchObject(conflict);
      await engine.startContainer(id);
      await expect(engine.unpauseContainer(id)).rejects.toMatchObject(conflict);
      await engine.pauseContainer(id);
      await expect(engine.pauseContainer(id)).rejects.toMatchObject(conflict);
      await expect(engine.startContainer(id)).rejects.toMatchObject(conflict);
      await engine.stopContainer(id, 0);
      await expect(engine.pauseContainer(id)).rejects.toMatchObject(conflict);
      await expect(engine.unpauseContainer(id)).rejects.toMatchObject(conflict);
    });

    test("limits are set anew while it runs and while it is paused", async () => {
      const { engine } = bench;
      const id = await bench.running("limits");
      const limits = { memoryBytes: 128 * 1024 ** 2, cpus: 0.5, pids: 32 };
      await engine.updateLimits(id, limits);
      expect((await engine.inspectContainer(id)).security).toMatchObject({
        ...limits,
        memorySwapBytes: limits.memoryBytes,
      });
      await engine.pauseContainer(id);
      await engine.updateLimits(id, { ...limits, cpus: 1, memoryBytes: 64 * 1024 ** 2 });
      expect(await engine.inspectContainer(id)).toMatchObject({
        state: "paused",
        security: { cpus: 1, memoryBytes: 64 * 1024 ** 2, pids: 32 },
      });
    });

    test("every call on an unknown container says not_found", async () => {
      const { engine } = bench;
      const missing = { name: "EngineError", kind: "not_found" };
      const id = "0".repeat(64);
      await expect(engine.inspectContainer(id)).rejects.toMatchObject(missing);
      await expect(engine.startContainer(id)).rejects.toMatchObject(missing);
      await expect(engine.stopContainer(id, 0)).rejects.toMatchObject(missing);
      await expect(engine.pauseContainer(id)).rejects.toMatchObject(missing);
      await expect(engine.unpauseContainer(id)).rejects.toMatchObject(missing);
      await expect(engine.renameContainer(id, bench.name("x"))).rejects.toMatchObject(missing);
      const limits = { memoryBytes: 64 * 1024 ** 2, cpus: 1, pids: 64 };
      await expect(engine.updateLimits(id, limits)).rejects.toMatchObject(missing);
      await expect(engine.stats(id)).rejects.toMatchObject(missing);
      await expect(engine.attach(id)).rejects.toMatchObject(missing);
      await expect(engine.readArchive(id, "/")).rejects.toMatchObject(missing);
      await expect(engine.writeArchive(id, "/", Buffer.alloc(1024))).rejects.toMatchObject(missing);
      const exec = { argv: ["true"], env: {}, cwd: "/", user: "", stdin: false };
      await expect(engine.exec(id, exec)).rejects.toMatchObject(missing);
      expect(await engine.statPath(id, "/")).toBeUndefined();
    });

    test("a name is one container's at a time", async () => {
      const { engine } = bench;
      const conflict = { kind: "conflict" };
      const first = await engine.createContainer(bench.spec("name"));
      const second = await engine.createContainer(bench.spec("other"));
      await expect(engine.createContainer(bench.spec("name"))).rejects.toMatchObject(conflict);
      await expect(engine.renameContainer(second, bench.name("name"))).rejects.toMatchObject(
        conflict,
      );
      await engine.renameContainer(first, bench.name("renamed"));
      await engine.renameContainer(second, bench.name("name"));
      expect((await engine.inspectContainer(bench.name("renamed"))).id).toBe(first);
      expect((await engine.inspectContainer(bench.name("name"))).id).toBe(second);
    });

    test("two creates of one name at once make one container", async () => {
      const { engine } = bench;
      const creates = [1, 2, 3].map(() => engine.createContainer(bench.spec("race")));
      const settled = await Promise.allSettled(creates);
      expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const each of settled) {
        if (each.status === "rejected") expect(each.reason).toMatchObject({ kind: "conflict" });
      }
      const named = (await engine.listContainers(bench.ours)).filter(
        ({ name }) => name === bench.name("race"),
      );
      expect(named).toHaveLength(1);
    });

    test("a rename works in every state", async () => {
      const { engine } = bench;
      const id = await engine.createContainer(bench.spec("names0"));
      await engine.renameContainer(id, bench.name("names1"));
      await engine.startContainer(id);
      await engine.renameContainer(id, bench.name("names2"));
      await engine.pauseContainer(id);
      await engine.renameContainer(id, bench.name("names3"));
      expect((await engine.inspectContainer(id)).name).toBe(bench.name("names3"));
    });

    test("an image that isn't there, a bad name, too little memory and too many CPUs are refused, leaving nothing", async () => {
      const { engine, ours } = bench;
      const { cpus } = await engine.info();
      const before = await engine.listContainers(ours);
      const create = (changes: object) => engine.createContainer(bench.spec("refused", changes));
      await expect(create({ image: "no-such-image:1" })).rejects.toMatchObject({
        kind: "not_found",
      });
      await expect(create({ name: "no spaces" })).rejects.toMatchObject({ kind: "invalid" });
      await expect(create({ memoryBytes: 1024 })).rejects.toMatchObject({ kind: "invalid" });
      await expect(create({ cpus: cpus + 1 })).rejects.toMatchObject({ kind: "invalid" });
      expect(await engine.listContainers(ours)).toHaveLength(before.length);
    });

    test("a first process that can't be started is invalid, and the container stays", async () => {
      const { engine } = bench;
      const spec = bench.spec("nocommand", { command: ["no-such-program"], init: false });
      const id = await engine.createContainer(spec);
      await expect(engine.startContainer(id)).rejects.toMatchObject({ kind: "invalid" });
      expect((await engine.inspectContainer(id)).state).not.toBe("running");
    });

    test("a container whose first process ends is stopped with its exit code", async () => {
      const { engine } = bench;
      const id = await engine.createContainer(
        bench.spec("ends", { command: ["sh", "-c", "exit 7"] }),
      );
      await engine.startContainer(id);
      await expect
        .poll(async () => await engine.inspectContainer(id), { timeout: 10_000 })
        .toMatchObject({ state: "stopped", exitCode: 7, oomKilled: false });
    });

    test("a list holds what carries all labels, in any state", async () => {
      const { engine, ours } = bench;
      const labels = { ...ours, "contract.list": "yes" };
      const created = await engine.createContainer(bench.spec("list-a", { labels }));
      const paused = await bench.running("list-b", { labels: { ...labels, more: "1=2" } });
      await engine.pauseContainer(paused);
      const list = await engine.listContainers(labels);
      expect(new Map(list.map(({ id, state }) => [id, state]))).toEqual(
        new Map([
          [created, "created"],
          [paused, "paused"],
        ]),
      );
      const found = await engine.listContainers({ ...labels, more: "1=2" });
      expect(found).toHaveLength(1);
      expect(found[0]).toMatchObject({ id: paused, name: bench.name("list-b") });
      expect(found[0]?.image).toBe("clawdspace:latest");
      expect(found[0]?.labels).toMatchObject({ ...labels, more: "1=2" });
      expect(Math.abs((found[0]?.createdAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
      expect(await engine.listContainers({ ...labels, more: "other" })).toEqual([]);
    });

    test("inspect tells the environment that every process gets", async () => {
      const { engine } = bench;
      const env = { GREETING: "hello = world", EMPTY: "" };
      const id = await engine.createContainer(bench.spec("env", { env }));
      expect((await engine.inspectContainer(id)).env).toMatchObject(env);
    });

    test("stats are counters that grow, and there in every state", async () => {
      const { engine } = bench;
      const id = await bench.running("stats");
      const first = await engine.stats(id);
      expect(first.pids).toBeGreaterThan(0);
      expect(first.memoryUsageBytes).toBeGreaterThan(0);
      expect(first.memoryLimitBytes).toBe(64 * 1024 ** 2);
      const second = await engine.stats(id);
      expect(second.cpuNanos).toBeGreaterThanOrEqual(first.cpuNanos);
      expect(second.readAt.getTime()).toBeGreaterThanOrEqual(first.readAt.getTime());
      await engine.pauseContainer(id);
      expect((await engine.stats(id)).pids).toBeGreaterThan(0);
      await engine.stopContainer(id, 0);
      expect(await engine.stats(id)).toMatchObject({ pids: 0, cpuNanos: 0 });
    });

    test("info counts what is there", async () => {
      const { engine } = bench;
      await bench.running("info");
      const info = await engine.info();
      expect(info.version).not.toBe("");
      expect(info.cpus).toBeGreaterThan(0);
      expect(info.memoryBytes).toBeGreaterThan(1024 ** 3);
      expect(info.containersRunning).toBeGreaterThan(0);
      expect(info.containers).toBeGreaterThanOrEqual(info.containersRunning);
      expect(info.images).toBeGreaterThan(0);
      expect(info.platform).toBe("linux");
    });
  });

  describe("images", () => {
    test("one that is there is found by its name, one that isn't is undefined", async () => {
      const { engine } = bench;
      const image = await engine.findImage("clawdspace:latest");
      expect(image?.id).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(image?.labels).toMatchObject({ "clawdspace.sandbox": "1" });
      expect(await engine.findImage("clawdspace")).toEqual(image);
      expect(await engine.findImage("no-such-image:1")).toBeUndefined();
    });

    test("a reference that isn't one is invalid", async () => {
      const { engine } = bench;
      for (const ref of ["UPPER", "a//b", "a/../b", "-a", "a:b:c", "a b", "a?b=1", ""]) {
        await expect(engine.findImage(ref), ref).rejects.toMatchObject({ kind: "invalid" });
        await expect(
          engine.pullImage(ref, () => {}),
          ref,
        ).rejects.toMatchObject({
          kind: "invalid",
        });
      }
    });

    test("a pull that can't be says so", async () => {
      const { engine } = bench;
      const pull = engine.pullImage("localhost:1/no/such-image:1", () => {});
      await expect(pull).rejects.toMatchObject({ name: "EngineError" });
      expect(await engine.findImage("localhost:1/no/such-image:1")).toBeUndefined();
    });
  });
}
