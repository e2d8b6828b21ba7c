import { expect, test } from "vitest";
import type { ContainerStats } from "../engine/engine.js";
import { SpaceEntry } from "../spaces/space-entry.js";
import { Sampler } from "./sampler.js";
import { toSpaceStats } from "./stats-service.js";

const STARTED = new Date("2026-01-01T00:00:00Z");
const spec = {
  image: "x",
  memoryBytes: 1000,
  cpus: 1,
  gpu: false,
  network: "none" as const,
  writableRootfs: true,
  allowRoot: false,
  guest: true,
};

/** A container that has used half of a CPU since its start, and a whole one from `busyFrom` on. */
function cpuNanosAt(ms: number, busyFrom: number): number {
  return (Math.min(ms, busyFrom) / 2 + Math.max(0, ms - busyFrom)) * 1e6;
}

test("rates are of the time since the reading before, or since the start", async () => {
  let ms = 0;
  const reading = (): ContainerStats => ({
    cpuNanos: cpuNanosAt(ms, 20_000),
    readAt: new Date(STARTED.getTime() + ms),
    memoryUsageBytes: 5,
    memoryLimitBytes: 0,
    pids: 1,
    networkRxBytes: 0,
    networkTxBytes: 0,
    blockReadBytes: 0,
    blockWriteBytes: 0,
  });
  const entry = new SpaceEntry("dev", "id", spec, STARTED, "running");
  entry.startedAt = STARTED;
  const sampler = new Sampler({ stats: async () => reading() });
  const percentAt = async (time: number) => {
    ms = time;
    return toSpaceStats(await sampler.sample(entry), 1000).cpuPercent;
  };
  expect(await percentAt(10_000)).toBe(50);
  expect(await percentAt(20_000)).toBe(50);
  expect(await percentAt(30_000)).toBe(100);
  // Right after another look: the reading before that one counts.
  expect(await percentAt(30_010)).toBe(100);
  // Long after: what is known is too old to speak of now.
  expect(await percentAt(3_000_000)).toBeCloseTo(99.67, 1);
});
