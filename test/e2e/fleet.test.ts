import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { FleetLab } from "../support/fleet-lab.js";

const GPU = "GPU-11111111-2222-3333-4444-555555555555";
let lab: FleetLab;
let [vps, laptop, gpubox]: FleetLab["nodes"] = [];

beforeAll(async () => {
  lab = await FleetLab.start();
  [vps, laptop, gpubox] = lab.nodes;
  await vi.waitFor(async () => expect(await states()).toEqual(UP), 30_000);
});
afterAll(async () => await lab?.stop());

const UP = ["vps online", "gpubox online", "laptop online", "rogue not_clawdspace"];
const ask = async (...asked: Parameters<FleetLab["nodes"][number]["json"]>) => {
  if (!vps) throw new Error("no lab");
  return await vps.json(...asked);
};
const states = async () => {
  const { body } = await ask("GET", "/api/nodes");
  return body.nodes.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`);
};
const create = async (body: object) =>
  await ask("POST", "/api/spaces", { memory: "256m", cpus: 1, ...body });

/** A stream of output and a terminal of a space, through the first node, with what became of them. */
async function streams(space: string) {
  const output = await vps?.send(
    "POST",
    `/api/spaces/${space}/exec`,
    { command: "echo on; sleep 1000" },
    {
      accept: "application/x-ndjson",
    },
  );
  if (!vps || !output) throw new Error("no lab");
  const [first] = await once(output, "data");
  expect(`${first}`).toContain("stdout");
  const lines = text(output);
  const terminal = vps.terminal(space);
  await once(terminal, "message");
  const closed = once(terminal, "close");
  return { lines, closed };
}

async function brokeOff({ lines, closed }: Awaited<ReturnType<typeof streams>>, node: string) {
  expect(JSON.parse((await lines).trim().split("\n").at(-1) ?? "")).toMatchObject({
    type: "error",
    code: "node_unreachable",
  });
  const [code, reason] = await closed;
  expect([code, `${reason}`]).toEqual([1014, `Node "${node}" stopped answering.`]);
}

it("finds the nodes of the tailnet, and tells what is none of them nothing", async () => {
  expect(await states()).toEqual(UP);
  const heard = await lab.heard();
  expect(heard).toContain("POST /api/peer/hello");
  expect(heard).not.toContain(lab.key);
  expect(heard).not.toMatch(/authorization|x-clawdspace-peer|proof|\/api\/peer\/(session|status)/i);
});

it("carries a 200 MB upload and a terminal through a node that doesn't have the space", async () => {
  expect((await create({ name: "far", node: "laptop" })).status).toBe(201);
  const bytes = randomBytes(200e6);
  const put = await vps?.send("PUT", "/api/spaces/far/files/raw?path=/big", bytes, {
    "content-type": "application/octet-stream",
  });
  expect(put?.statusCode).toBe(200);
  put?.resume();
  const sum = await ask("POST", "/api/spaces/far/exec", {
    command: "sha256sum /workspace/big; rm /workspace/big",
  });
  expect(sum.body.stdout).toContain(createHash("sha256").update(bytes).digest("hex"));
  const terminal = vps?.terminal("far");
  let shown = "";
  terminal?.on("message", (data) => {
    shown += data.toString();
  });
  if (terminal) await once(terminal, "open");
  terminal?.send(JSON.stringify({ type: "input", data: "echo $((6*7)) on $(hostname)\n" }));
  await vi.waitFor(() => expect(shown).toContain("42 on far"), 15_000);
  terminal?.close();
});

it("places a space with a GPU on the node that has one, and lends it to one space at a time", async () => {
  const first = await create({ name: "train", template: "gpu", node: "auto" });
  expect([first.status, first.body.placement?.node, first.body.space?.gpus]).toEqual([
    201,
    "gpubox",
    [GPU],
  ]);
  expect(first.body.placement.considered).toMatchObject([
    { node: "gpubox" },
    { node: "laptop", passedOver: "it has no GPU" },
    { node: "rogue", passedOver: "it is not clawdspace" },
    { node: "vps", passedOver: "it has no GPU" },
  ]);
  // The engine has handed this very device over, and the space's user is who it always is.
  expect(await readFile(join(gpubox?.bin ?? "", "handed-over"), "utf8")).toBe(
    `NVIDIA_VISIBLE_DEVICES=${GPU}\n`,
  );
  expect((await ask("POST", "/api/spaces/train/exec", { command: "id -u" })).body.stdout).toBe(
    "1001",
  );

  const second = await create({ name: "infer", gpu: true, node: "gpubox" });
  expect([second.status, second.body.code]).toEqual([409, "gpu_busy"]);
  expect(second.body.error).toContain(`${GPU} by train`);
  const here = await create({ name: "infer", gpu: true });
  expect([here.status, here.body.error]).toEqual([
    422,
    expect.stringContaining("These nodes have GPUs: gpubox."),
  ]);

  expect((await ask("POST", "/api/spaces/train/stop")).status).toBe(200);
  expect((await create({ name: "infer", gpu: true, node: "gpubox" })).status).toBe(201);
  const back = await ask("POST", "/api/spaces/train/start");
  expect([back.status, back.body.code]).toEqual([409, "gpu_busy"]);
  expect((await ask("DELETE", "/api/spaces/infer?removeVolume=true")).status).toBe(200);
  expect((await ask("POST", "/api/spaces/train/start")).status).toBe(200);
});

it("moves a space from one node to another, asked for at a third, and leaves one where its GPU is", async () => {
  const secret = randomBytes(8).toString("hex");
  const made = await create({ name: "moves", node: "laptop", env: { SECRET: secret } });
  expect(made.status).toBe(201);
  const fill = "head -c 50M /dev/urandom > big && ln -s big link && sha256sum link";
  const filled = await ask("POST", "/api/spaces/moves/exec", { command: fill });
  const moved = await ask("POST", "/api/spaces/moves/move", { node: "gpubox" });
  expect([moved.status, moved.body.space?.node]).toEqual([200, "gpubox"]);
  const look = `sha256sum link; test -L link && test "$SECRET" = ${secret} && echo kept`;
  const found = await ask("POST", "/api/spaces/moves/exec", { command: look });
  expect(found.body.stdout).toBe(`${filled.body.stdout}\nkept`);
  const left = await laptop?.docker.listContainers({ all: true });
  // What waits in its pool belongs to no space.
  const spaces = left?.flatMap(({ Names }) => Names).filter((each) => !each.includes(".pool."));
  expect(spaces).toEqual(["/fleet-far"]);
  expect((await ask("DELETE", "/api/spaces/moves?removeVolume=true")).status).toBe(200);

  const refused = await ask("POST", "/api/spaces/train/move", { node: "vps" });
  expect([refused.status, refused.body.error]).toEqual([
    422,
    expect.stringMatching(
      /^Node "vps" can't take the space.* no GPU\. These nodes have GPUs: gpubox/,
    ),
  ]);
  expect((await ask("GET", "/api/spaces/train")).body.space.status).toBe("running");
});

it("goes on as usual when a node is cut off or killed in the middle of streams, and says what broke off", async () => {
  expect((await create({ name: "here" })).status).toBe(201);
  const normal = async () => {
    const began = Date.now();
    expect((await ask("POST", "/api/spaces/here/exec", { command: "true" })).status).toBe(200);
    expect((await ask("POST", "/api/spaces/train/exec", { command: "true" })).status).toBe(200);
    expect((await ask("GET", "/api/nodes")).status).toBe(200);
    expect(Date.now() - began).toBeLessThan(2000);
  };
  const cut = await streams("far");
  await laptop?.cutOff(true);
  // Asked while it is taken for online: the others' spaces are told all the same.
  const began = Date.now();
  const listed = ask("GET", "/api/spaces?node=all").then(({ body }) => ({
    ...{ errors: body.errors, spaces: body.spaces.length, took: Date.now() - began },
  }));
  const during = setInterval(
    () => void normal().catch((error: unknown) => failures.push(error)),
    1000,
  );
  const failures: unknown[] = [];
  const { took, ...told } = await listed;
  expect(told).toMatchObject({ errors: [{ node: "laptop", code: "node_unreachable" }], spaces: 2 });
  expect(took).toBeLessThan(10_000);
  await brokeOff(cut, "laptop");
  clearInterval(during);
  expect(failures).toEqual([]);
  expect(await states()).toContain("laptop offline");
  const { body } = await ask("GET", "/api/spaces?node=all");
  expect(body.errors).toMatchObject([{ node: "laptop", code: "node_unreachable" }]);
  expect(body.spaces.map(({ name }: { name: string }) => name).sort()).toEqual(["here", "train"]);
  await laptop?.cutOff(false);
  await vi.waitFor(async () => expect(await states()).toEqual(UP), 60_000);
  expect((await ask("POST", "/api/spaces/far/exec", { command: "true" })).status).toBe(200);

  const killed = await streams("far");
  await laptop?.killDaemon();
  await brokeOff(killed, "laptop");
  await normal();
  const gone = await ask("GET", "/api/spaces/far");
  expect([gone.status, gone.body.code]).toEqual([502, "node_unreachable"]);
});
