import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { afterEach, expect, it, vi } from "vitest";
import { allSpaces } from "./all-spaces.js";
import { fleetOf, node, serve, stopAll } from "./scripted-node.js";

afterEach(stopAll);

const who = { actor: { name: "owner", role: "admin" } as const, from: "127.0.0.1" };
/** What a person takes for an answer that hung, with much to spare for a busy machine. */
const BOUND_MS = 8000;
/** What needs nobody else's answer takes none of the time that others are waited for. */
const AT_ONCE_MS = 2000;

async function timed<T>(task: () => Promise<T> | T): Promise<[T, number]> {
  const begun = performance.now();
  return [await task(), performance.now() - begun];
}

/** Listens and never takes a connection; once what waits to be taken is full, its packets are dropped. */
async function deaf(): Promise<{ url: string; stop: () => Promise<void> }> {
  const script = `
    const { parentPort } = require("node:worker_threads");
    const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
    });`;
  const worker = new Worker(script, { eval: true });
  const [port] = await once(worker, "message");
  const waiting: Socket[] = [];
  for (;;) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    waiting.push(socket);
    const timer = setTimeout(() => socket.emit("full"), 300);
    const taken = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "full").then(() => false),
    ]);
    clearTimeout(timer);
    if (!taken) break;
  }
  const stop = async () => {
    for (const socket of waiting) socket.destroy();
    await worker.terminate();
  };
  return { url: `http://127.0.0.1:${port}`, stop };
}

it.each(["hung", "dripping"] as const)(
  "lists the spaces of the others where a node is %s, in a bounded time, and then at once",
  { timeout: 40_000 },
  async (mode) => {
    const [good, bad] = [await node("good", "shared"), await node("bad", "shared")];
    const { fleet, states, whereabouts } = fleetOf(
      [
        { name: "good", url: good.url },
        { name: "bad", url: bad.url },
      ],
      { spaces: ["here"] },
    );
    await fleet.refresh();
    expect(states()).toEqual(["near online", "good online", "bad online"]);
    const [peer] = fleet.online().filter(({ machine }) => machine.name === "bad");
    if (peer) for (const space of ["here", "away"]) fleet.learn(peer, space, true);
    bad.become(mode);
    const [first, took] = await timed(() => allSpaces(fleet, [], who));
    expect(took).toBeLessThan(BOUND_MS);
    expect(first.errors).toMatchObject([
      {
        node: "bad",
        code: "node_unreachable",
        error: expect.stringContaining("no answer in time"),
      },
    ]);
    // Nobody but who asked for its spaces has waited for it.
    expect((await timed(() => fleet.text()))[1]).toBeLessThan(AT_ONCE_MS);
    await vi.waitFor(() => expect(states()).toContain("bad offline"), 15_000);
    const [again, tookAgain] = await timed(() => allSpaces(fleet, [], who));
    expect(tookAgain).toBeLessThan(AT_ONCE_MS);
    expect(again.errors).toMatchObject([{ node: "bad", code: "node_unreachable" }]);
    // A space that is here is used here, whatever a node that is gone once had.
    const [place, tookPlace] = await timed(() => whereabouts.locate("here"));
    expect([place, tookPlace < AT_ONCE_MS]).toEqual([undefined, true]);
    const [lost, tookLost] = await timed(async () => {
      await expect(Promise.resolve(whereabouts.locate("away"))).rejects.toThrow(/Node "bad"/);
    });
    expect([lost, tookLost < BOUND_MS]).toEqual([undefined, true]);
  },
);

it("answers for all others where a machine's packets are dropped", async () => {
  const [good, dropped] = [await node("good", "shared"), await deaf()];
  try {
    const { fleet, states } = fleetOf([
      { name: "good", url: good.url },
      { name: "dropped", url: dropped.url },
    ]);
    const refreshed = fleet.refresh();
    await vi.waitFor(() => expect(states()).toContain("good online"), 10_000);
    const [{ errors }, took] = await timed(() => allSpaces(fleet, [], who));
    expect([errors, took < BOUND_MS]).toMatchObject([[{ node: "dropped" }], true]);
    await refreshed;
    expect(states()).toEqual(["near online", "good online", "dropped offline"]);
    expect(fleet.list().nodes[2]?.reason).toContain("no answer in time");
  } finally {
    await dropped.stop();
  }
});

it("goes on looking at the others while one hangs", async () => {
  const good = await node("good", "shared");
  const heard: string[] = [];
  const url = await serve(({ url: path }) => void heard.push(path ?? ""));
  const { fleet } = fleetOf(
    [
      { name: "good", url: good.url },
      { name: "hung", url },
    ],
    { refreshMs: 50 },
  );
  fleet.start();
  const looks = () => good.asked.filter((each) => each.endsWith("/status")).length;
  await vi.waitFor(() => expect(looks()).toBeGreaterThan(10), 15_000);
  expect(heard.length).toBeLessThan(4);
});

it("backs off from a node that comes and goes, and trusts it again once it stays", async () => {
  const far = await node("far", "shared");
  const { fleet, changes } = fleetOf([{ name: "far", url: far.url }]);
  for (let round = 0; round < 60; round++) {
    far.become(round % 2 ? "down" : "up");
    await fleet.refresh();
    if (round === 30) changes.length = 0;
  }
  // Of thirty looks, in each of which it had become another.
  expect(changes.length).toBeLessThan(10);
  far.become("up");
  for (let round = 0; round < 12; round++) await fleet.refresh();
  changes.length = 0;
  far.become("down");
  await fleet.refresh();
  far.become("up");
  await fleet.refresh();
  expect(changes).toEqual(["far down", "far up"]);
});

it("asks one that was away for long as soon as it calls, or the tailnet says that it is back", async () => {
  const [far, tailed] = [await node("far", "shared"), await node("tailed", "shared")];
  const machine = { name: "tailed", url: tailed.url, online: false };
  const { fleet, states } = fleetOf([{ name: "far", url: far.url }, machine]);
  far.become("down");
  for (let round = 0; round < 100; round++) await fleet.refresh();
  expect(states()).toEqual(["near online", "far offline", "tailed offline"]);
  expect(tailed.asked).toEqual([]);
  far.become("up");
  fleet.heard("far");
  await vi.waitFor(() => expect(states()).toContain("far online"), 10_000);
  machine.online = true;
  await fleet.refresh();
  expect(states()).toContain("tailed online");
});
