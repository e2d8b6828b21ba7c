import type { Finding } from "@clawdspace/protocol";
import { expect, test } from "vitest";
import { EngineError } from "../engine/engine.js";
import { examine, type Patient } from "./doctor.js";

const info = { version: "27.0", missingLimits: [], seccomp: true } as unknown as Awaited<
  ReturnType<Patient["engine"]>
>;
const gigabytes = { total: "10.0 GB", used: "1.0 GB", available: "9.0 GB", percentage: "10.0%" };
const node = (name: string, state: "online" | "wrong_key" | "other_version", self = false) => ({
  ...{ name, state, self, url: "http://x:7777", latencyMs: 1 },
  status: state === "online" ? ("online" as const) : ("offline" as const),
});

const WELL: Patient = {
  nodeVersion: "20.19.0",
  authDisabled: false,
  engine: async () => info,
  image: "clawdspace:latest",
  findImage: async () => ({ id: "1", arch: "amd64", labels: {} }),
  network: {
    inUse: true,
    enforcement: async () => ({ by: "iptables", checkedAt: new Date() }),
    problem: undefined,
  },
  nodes: { nodes: [node("a", "online", true), node("b", "online")], lastUpdatedAt: 1 },
  nodesNamed: false,
  gpus: async () => [],
  cards: async () => [],
  disk: async () => gigabytes,
};

async function found(ill: Partial<Patient>): Promise<Record<string, Omit<Finding, "name">>> {
  const { checks, checkedAt } = await examine({ ...WELL, ...ill });
  expect(Math.abs(Date.parse(checkedAt) - Date.now())).toBeLessThan(5000);
  return Object.fromEntries(checks.map(({ name, ...finding }) => [name, finding]));
}

test("a node that is well has nothing to mend", async () => {
  const checks = await found({});
  expect(Object.keys(checks)).toEqual([
    ...["Node.js", "Authentication", "Docker Engine", "Sandbox image", "Firewall", "Tailscale"],
    ...["Nodes", "GPU", "Disk"],
  ]);
  for (const finding of Object.values(checks)) {
    expect(finding).toEqual({ status: "ok", detail: expect.any(String) });
  }
});

const network = (change: Partial<Patient["network"]>) => ({
  network: { ...WELL.network, ...change },
});
test.each<[string, string, Partial<Patient>, "warning" | "failed", RegExp]>([
  ["an old Node.js", "Node.js", { nodeVersion: "20.18.3" }, "failed", /20\.18\.3 is too old/],
  ["no authentication", "Authentication", { authDisabled: true }, "warning", /owns this machine/],
  [
    "an engine that is gone",
    "Docker Engine",
    { engine: () => Promise.reject(new EngineError("unavailable", "it can't be reached")) },
    "failed",
    /it can't be reached/,
  ],
  [
    "an engine that confines less",
    "Docker Engine",
    { engine: async () => ({ ...info, missingLimits: ["pids"], seccomp: false }) },
    "warning",
    /without limits of pids, seccomp/,
  ],
  [
    "no image",
    "Sandbox image",
    { findImage: async () => undefined },
    "failed",
    /clawdspace:latest is not there/,
  ],
  ["rules that can't be set", "Firewall", network({ problem: "no iptables" }), "failed", /no ipt/],
  [
    "rules that nobody saw",
    "Firewall",
    network({ enforcement: async () => undefined }),
    "warning",
    /no rules were seen/,
  ],
  [
    "rules that nobody saw lately",
    "Firewall",
    network({ enforcement: async () => ({ by: "iptables", checkedAt: new Date(0) }) }),
    "warning",
    /not seen in force for \d+ s/,
  ],
  [
    "a Tailscale that is off",
    "Tailscale",
    { nodes: { ...WELL.nodes, problem: 'Tailscale is in the state "Stopped"' } },
    "warning",
    /Stopped/,
  ],
  [
    "nodes that don't fit",
    "Nodes",
    {
      nodes: {
        nodes: [node("a", "online", true), node("b", "wrong_key"), node("c", "other_version")],
        lastUpdatedAt: 1,
      },
    },
    "warning",
    /b: another key; c: a version/,
  ],
  ["a card without driver", "GPU", { cards: async () => ["NVIDIA"] }, "warning", /NVIDIA/],
  [
    "a full disk",
    "Disk",
    { disk: async () => ({ ...gigabytes, percentage: "95.0%" }) },
    "warning",
    /9\.0 GB of/,
  ],
])("finds %s, and says what mends it", async (_what, name, ill, status, detail) => {
  const { [name]: finding, ...others } = await found(ill);
  expect(finding).toEqual({
    status,
    detail: expect.stringMatching(detail),
    fix: expect.stringMatching(/\w{4}/),
  });
  for (const other of Object.values(others)) expect(other.status).toBe("ok");
});
