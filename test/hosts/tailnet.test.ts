import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { TailnetLab } from "../support/tailnet-lab.js";
import { findGo, tailnetTools } from "../support/tailnet-tools.js";

const found = await findGo();
const missing = "missing" in found ? found.missing : undefined;
if (missing) console.log(`not run: discovery on a real tailnet, since ${missing}`);

describe.skipIf(missing)("a tailnet of Tailscale's own programs", () => {
  let lab: TailnetLab;
  let [vps, laptop, box]: TailnetLab["machines"] = [];

  beforeAll(async () => {
    if (!("go" in found)) return;
    const tags = ["tag:clawdspace"];
    const tagged = { CLAWDSPACE_NODE_TAG: "tag:clawdspace" };
    lab = await TailnetLab.start(await tailnetTools(found.go), {
      vps: { tags, daemon: {} },
      laptop: { tags, daemon: tagged },
      box: { tags, daemon: tagged, userspace: true },
      phone: {},
    });
    [vps, laptop, box] = lab.machines;
  }, 600_000);
  afterAll(async () => await lab?.stop());

  type Machine = TailnetLab["machines"][number] | undefined;
  const ask = async (machine: Machine, method: string, path: string, body?: unknown) => {
    if (!machine) throw new Error("no lab");
    return await machine.node.json(method, path, body);
  };
  const nodes = async (machine: Machine) => (await ask(machine, "GET", "/api/nodes")).body;
  const states = async (machine: Machine) =>
    (await nodes(machine)).nodes.map(
      ({ name, state }: { name: string; state: string }) => `${name} ${state}`,
    );
  const becomes = async (machine: Machine, wanted: string[]) =>
    await vi.waitFor(async () => expect(await states(machine)).toEqual(wanted), {
      timeout: 60_000,
      interval: 500,
    });

  it("is looked through by `tailscale status --json`: each node finds the others, by their tag where one is set", async () => {
    await becomes(vps, ["vps online", "box online", "laptop online", "phone offline"]);
    await becomes(laptop, ["laptop online", "box online", "vps online"]);
    await becomes(box, ["box online", "laptop online", "vps online"]);
    const { problem, nodes: found } = await nodes(vps);
    expect(problem).toBeUndefined();
    expect(found.map(({ url }: { url: string }) => url)).toEqual([
      "http://100.64.0.1:7777",
      "http://100.64.0.3:7777",
      "http://100.64.0.2:7777",
      "http://100.64.0.4:7777",
    ]);
  });

  it("carries what is asked at one node for a space of another, to and from one without an interface too", async () => {
    for (const [node, other] of [
      ["box", vps],
      ["laptop", box],
    ] as const) {
      const create = { name: `on-${node}`, memory: "256m", node };
      expect((await ask(other, "POST", "/api/spaces", create)).status).toBe(201);
      const command = "head -c 3000000 /dev/zero | base64 -w0 | wc -c";
      const ran = await ask(other, "POST", `/api/spaces/on-${node}/exec`, { command });
      expect([ran.status, ran.body.stdout]).toEqual([200, "4000000"]);
      const terminal = other?.node.terminal(`on-${node}`);
      if (!terminal) throw new Error("no lab");
      await once(terminal, "message");
      terminal.close();
    }
    const { spaces, errors } = (await ask(laptop, "GET", "/api/spaces?node=all")).body;
    expect(errors).toEqual([]);
    expect(
      spaces.map(({ name, node }: { name: string; node: string }) => `${name} ${node}`).sort(),
    ).toEqual(["on-box box", "on-laptop laptop"]);
  });

  it("tells that a machine has left it, and that it is back", async () => {
    expect((await ask(vps, "GET", "/api/spaces/on-laptop")).status).toBe(200);
    await laptop?.disconnect();
    await becomes(vps, ["vps online", "box online", "laptop offline", "phone offline"]);
    await vi.waitFor(
      async () =>
        expect((await nodes(vps)).nodes[2]).toMatchObject({ reason: "The tailnet says so." }),
      { timeout: 60_000, interval: 500 },
    );
    const gone = await ask(vps, "GET", "/api/spaces/on-laptop");
    expect([gone.status, gone.body.code]).toEqual([502, "node_unreachable"]);
    await laptop?.connect();
    await becomes(vps, ["vps online", "box online", "laptop online", "phone offline"]);
    await becomes(laptop, ["laptop online", "box online", "vps online"]);
    expect((await ask(vps, "GET", "/api/spaces/on-laptop")).status).toBe(200);
  });

  it("is told as a problem by a node whose own Tailscale is down, which keeps what it knew", async () => {
    await box?.tailscale("down");
    await vi.waitFor(
      async () =>
        expect((await nodes(box)).problem).toContain('Tailscale is in the state "Stopped"'),
      { timeout: 30_000, interval: 500 },
    );
    expect((await nodes(box)).nodes).toHaveLength(3);
    await box?.tailscale("up");
    await becomes(box, ["box online", "laptop online", "vps online"]);
  });
});
