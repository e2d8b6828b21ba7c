import type { Node, NodeLoad } from "@clawdspace/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judge, type Wanted } from "./placement.js";

const GIB = 1024 ** 3;
const wanted = (more: Partial<Wanted> = {}): Wanted => ({
  ...{ memoryBytes: 2 * GIB, cpus: 1, gpus: undefined, image: "i", mayPull: true },
  ...{ runtime: undefined, needs: undefined },
  ...more,
});
const node = (name: string, load: Partial<NodeLoad> = {}, more: Partial<Node> = {}): Node => ({
  ...{ name, url: "", self: false, status: "online", state: "online", latencyMs: 1 },
  capabilities: { gpu: false, arch: "x64", platform: "linux", cpus: 4, memory: 8 * GIB },
  load: {
    ...{ memoryFree: 6 * GIB, cpusFree: 4, spaces: 0, drained: false },
    ...{ runtimes: ["runc"], images: ["i"], labels: {}, gpus: [] },
    ...load,
  },
  ...more,
});
const gpu = (id: string, usedBy: string[] = [], kind: "nvidia" | "amd" = "nvidia") => ({
  ...{ id, index: 0, kind, name: "RTX", memory: 24 * GIB, usedBy },
});

describe("passes over, and says why", () => {
  const cases: [string, Node, Partial<Wanted>][] = [
    ["it is wrong key", node("n", {}, { state: "wrong_key" }), {}],
    ["it is drained", node("n", { drained: true }), {}],
    ["it has 4 CPUs", node("n"), { cpus: 5 }],
    [
      "it has 1024 MiB of memory free, and 2048 MiB are asked for",
      node("n", { memoryFree: GIB }),
      {},
    ],
    ["its architecture is x64", node("n"), { needs: { arch: "arm64" } }],
    ["it has no runtime runsc", node("n"), { runtime: "runsc" }],
    [
      "it isn't labelled disk=ssd",
      node("n", { labels: { disk: "hdd" } }),
      { needs: { labels: { disk: "ssd" } } },
    ],
    ["it hasn't the image other", node("n"), { image: "other", mayPull: false }],
    ["it has no GPU", node("n"), { gpus: { count: 1 } }],
    ["it has no amd GPU", node("n", { gpus: [gpu("a")] }), { gpus: { count: 1, kind: "amd" } }],
    ["it has 1 of 2 GPUs", node("n", { gpus: [gpu("a")] }), { gpus: { count: 2 } }],
    [
      "its GPUs are held by train",
      node("n", { gpus: [gpu("a", ["train"])] }),
      { gpus: { count: 1 } },
    ],
  ];
  it.each(cases)("%s", (why, candidate, more) => {
    expect(judge(wanted(more), [candidate])).toEqual([{ node: "n", passedOver: why }]);
  });
});

describe("prefers", () => {
  const best = (a: Partial<NodeLoad>, b: Partial<NodeLoad>) =>
    judge(wanted(), [node("a", a), node("b", b)])[0]?.node;
  it("free memory, free CPUs, an image that is there, and fewer spaces", () => {
    expect(best({ memoryFree: 3 * GIB }, { memoryFree: 6 * GIB })).toBe("b");
    expect(best({ cpusFree: 1 }, { cpusFree: 3 })).toBe("b");
    expect(best({ images: [] }, {})).toBe("b");
    expect(best({ spaces: 5 }, { spaces: 1 })).toBe("b");
    expect(best({}, {})).toBe("a");
  });

  it("the same node whatever the order, and never one that lacks something", () => {
    const loads = fc.record({
      memoryFree: fc.integer({ min: 0, max: 8 * GIB }),
      cpusFree: fc.double({ min: -4, max: 4, noNaN: true }),
      drained: fc.boolean(),
      spaces: fc.nat(50),
    });
    fc.assert(
      fc.property(fc.array(loads, { maxLength: 20 }), (all) => {
        const nodes = all.map((load, at) => node(`n${at}`, load));
        const verdicts = judge(wanted(), nodes);
        expect(judge(wanted(), [...nodes].reverse())).toEqual(verdicts);
        for (const verdict of verdicts) {
          const load = nodes.find(({ name }) => name === verdict.node)?.load;
          expect("score" in verdict).toBe(!load?.drained && (load?.memoryFree ?? 0) >= 2 * GIB);
        }
      }),
    );
  });
});
