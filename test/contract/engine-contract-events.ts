import { describe, expect, test } from "vitest";
import type { EngineEvent } from "../../packages/api/src/engine/engine.js";
import type { Bench } from "./engine-contract.js";

const LIFE = ["create", "start", "pause", "unpause", "die", "rename", "destroy"];

/** What the engine tells of changes, whoever made them. */
export function eventContract(bench: Bench): void {
  const listen = (labels: Record<string, string>, since: Date) => {
    const stop = new AbortController();
    const seen: EngineEvent[] = [];
    const ended = (async () => {
      for await (const event of bench.engine.events(labels, since, stop.signal)) {
        if (LIFE.includes(event.action)) seen.push(event);
      }
    })();
    return { seen, ended, stop: () => stop.abort() };
  };

  describe("events", () => {
    test("tell every change of a container with its labels, in order", async () => {
      const { engine, ours } = bench;
      const labels = { ...ours, "contract.events": "order" };
      const listener = listen(labels, new Date());
      const id = await engine.createContainer(bench.spec("events", { labels }));
      const other = await bench.running("events-other");
      await engine.startContainer(id);
      await engine.pauseContainer(id);
      await engine.unpauseContainer(id);
      await engine.renameContainer(id, bench.name("events-renamed"));
      await engine.stopContainer(id, 0);
      await engine.startContainer(id);
      await engine.removeContainer(id);
      await engine.removeContainer(other);
      const told = [
        "create",
        "start",
        "pause",
        "unpause",
        "rename",
        "die",
        "start",
        "die",
        "destroy",
      ];
      await expect
        .poll(() => listener.seen.map(({ action }) => action), { timeout: 5000 })
        .toEqual(told);
      expect(listener.seen.every(({ containerId }) => containerId === id)).toBe(true);
      expect(listener.seen[0]?.labels).toMatchObject(labels);
      const times = listener.seen.map(({ time }) => time.getTime());
      expect(times).toEqual([...times].sort((a, b) => a - b));
      listener.stop();
      await listener.ended;
    });

    test("begin with those since a moment that has passed", async () => {
      const { engine, ours } = bench;
      const labels = { ...ours, "contract.events": "since" };
      const since = new Date();
      const id = await engine.createContainer(bench.spec("events-since", { labels }));
      await engine.removeContainer(id);
      const listener = listen(labels, since);
      await expect
        .poll(() => listener.seen.map(({ action }) => action), { timeout: 5000 })
        .toEqual(["create", "destroy"]);
      listener.stop();
      await listener.ended;
    });

    test("end quietly when the signal aborts, before and after the first one", async () => {
      const before = listen(bench.ours, new Date());
      before.stop();
      await before.ended;
      const after = listen(bench.ours, new Date());
      await new Promise((resolve) => setTimeout(resolve, 100));
      after.stop();
      await after.ended;
    });
  });
}
