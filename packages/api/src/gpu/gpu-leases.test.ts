import type { GpuWish } from "@clawdspace/protocol";
import { beforeEach, expect, it } from "vitest";
import { SpaceEntry } from "../spaces/space-entry.js";
import { type SpaceSpec, SpaceSpecSchema } from "../spaces/space-spec.js";
import { GpuLeases } from "./gpu-leases.js";
import type { GpuDevice } from "./parse.js";

const device = (id: string, index: number, kind: "nvidia" | "amd" = "nvidia"): GpuDevice => ({
  ...{ id, index, kind, name: "card", devices: [], groups: [] },
});
const spec = (gpuWish: GpuWish = {}): SpaceSpec =>
  SpaceSpecSchema.parse({
    ...{ image: "i", memoryBytes: 1, cpus: 1, gpu: true, network: "none" },
    ...{ writableRootfs: true, allowRoot: false, guest: true, gpuWish },
  });

let known: SpaceEntry[];
let leases: GpuLeases;
beforeEach(() => {
  known = [];
  leases = new GpuLeases({
    detect: async () => [device("GPU-a", 0), device("GPU-b", 1), device("amd-2", 2, "amd")],
    known: () => known,
    elsewhere: () => ["box"],
  });
});

const run = async (name: string, wish?: GpuWish) => {
  const { spec: leased, release } = await leases.lease(name, spec(wish));
  const entry = new SpaceEntry(name, name, leased, new Date(), "running");
  known.push(entry);
  release();
  return entry;
};
const ids = (entry: SpaceEntry) => entry.spec.gpus?.map(({ id }) => id);

it("gives each space a GPU of its own, until there are none, and says who holds them", async () => {
  expect(ids(await run("one"))).toEqual(["GPU-a"]);
  expect(ids(await run("two", { kind: "nvidia" }))).toEqual(["GPU-b"]);
  const refused = leases.lease("three", spec({ kind: "nvidia" }));
  await expect(refused).rejects.toMatchObject({
    code: "gpu_busy",
    message: expect.stringMatching(/Held are GPU-a by one, GPU-b by two\./),
  });
  expect(ids(await run("three"))).toEqual(["amd-2"]);
  expect((await leases.list()).map(({ id, usedBy }) => [id, ...usedBy])).toEqual([
    ["GPU-a", "one"],
    ["GPU-b", "two"],
    ["amd-2", "three"],
  ]);
});

it("never gives one to two that ask at once", async () => {
  const wish = { kind: "nvidia" } as const;
  const asked = await Promise.allSettled(
    ["a", "b", "c"].map((name) => leases.lease(name, spec(wish))),
  );
  expect(asked.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
});

it("takes those named by id or index, and several", async () => {
  expect(ids(await run("one", { ids: ["1"] }))).toEqual(["GPU-b"]);
  await expect(leases.lease("x", spec({ ids: ["GPU-b"] }))).rejects.toMatchObject({
    code: "gpu_busy",
  });
  expect(ids(await run("two", { count: 2 }))).toEqual(["GPU-a", "amd-2"]);
});

it("is free again when its space is stopped or gone, and held again when it starts", async () => {
  const one = await run("one", { ids: ["GPU-a"] });
  one.setState("paused");
  await expect(leases.lease("x", spec({ ids: ["GPU-a"] }))).rejects.toMatchObject({
    code: "gpu_busy",
  });
  one.setState("stopped");
  const two = await run("two", { ids: ["GPU-a"] });
  expect(() => leases.again(one)).toThrow("GPU-a by two");
  known.splice(known.indexOf(two), 1);
  const release = leases.again(one);
  await expect(leases.lease("x", spec({ ids: ["GPU-a"] }))).rejects.toMatchObject({
    code: "gpu_busy",
  });
  release();
});

it("is shared by spaces that all say so", async () => {
  await run("one", { ids: ["0"], shared: true });
  expect(ids(await run("two", { ids: ["0"], shared: true }))).toEqual(["GPU-a"]);
  await expect(leases.lease("x", spec({ ids: ["0"] }))).rejects.toMatchObject({ code: "gpu_busy" });
});

it("says what is missing, and which nodes have GPUs", async () => {
  await expect(leases.lease("x", spec({ count: 4 }))).rejects.toMatchObject({
    code: "insufficient_resources",
    message: expect.stringMatching(
      /^This node has 3 of the 4 GPUs that are asked for\. These nodes have GPUs: box\./,
    ),
  });
  await expect(leases.lease("x", spec({ ids: ["GPU-z"] }))).rejects.toThrow("no GPU GPU-z");
});
