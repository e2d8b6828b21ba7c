import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, it, vi } from "vitest";
import { PeerSessions } from "./peer-sessions.js";
import { peerSecret } from "./proof.js";
import { fleetOf, node, serve, stopAll } from "./scripted-node.js";

afterEach(stopAll);

it("knows of each machine what it is, and none waits for one that hangs", async () => {
  const heard: string[] = [];
  const machines = [
    { name: "good", url: (await node("good", "shared")).url },
    { name: "keyed", url: (await node("keyed", "other")).url },
    {
      name: "old",
      url: await serve(({ url }, response) => {
        response.statusCode = url === "/api/health" ? 200 : 404;
        response.end(JSON.stringify({ status: "ok", version: "0.0.9" }));
      }),
    },
    { name: "web", url: await serve((_request, response) => response.end("<html>hello</html>")) },
    { name: "hung", url: await serve(({ url }) => void heard.push(url ?? "")) },
    { name: "closed", url: "http://127.0.0.1:9" },
    { name: "asleep", url: "http://127.0.0.1:9", online: false },
  ];
  const { fleet, changes, states } = fleetOf(machines);
  const refreshed = fleet.refresh();
  await vi.waitFor(() => expect(states()).toContain("good online"), 10_000);
  // While one hangs, what is known is told at once.
  expect(heard).toEqual(["/api/peer/hello"]);
  await refreshed;
  expect(states()).toEqual([
    "near online",
    "good online",
    "keyed wrong_key",
    "old other_version",
    "web not_clawdspace",
    "hung offline",
    "closed offline",
    "asleep offline",
  ]);
  expect(changes).toEqual(["good up"]);
  expect(fleet.list().nodes.find(({ name }) => name === "good")).toMatchObject({
    status: "online",
    version: "0.1.0",
    capabilities: { arch: "x64" },
  });
  expect(() => fleet.peer("hung")).toThrow(/Node "hung" can't be used \(offline\)/);
  expect(() => fleet.peer("nobody")).toThrow(/There is no node "nobody"/);
});

it("tells when a node goes and comes, within one refresh, and asks one that stays away less often", async () => {
  const far = await node("far", "shared");
  const { fleet, changes } = fleetOf([{ name: "far", url: far.url }]);
  await fleet.refresh();
  const peer = fleet.online()[0];
  const told = () => expect(JSON.parse(fleet.text())).toEqual(fleet.list());
  told();
  far.become("down");
  await fleet.refresh();
  told();
  expect(changes).toEqual(["far up", "far down"]);
  expect(peer?.gone.signal.aborted).toBe(true);
  far.asked.length = 0;
  for (let round = 0; round < 20; round++) await fleet.refresh();
  // Without backing off it would be asked twenty times.
  expect(far.asked.length).toBeLessThan(8);
  far.become("up");
  for (let round = 0; round < 8; round++) await fleet.refresh();
  expect(changes).toEqual(["far up", "far down", "far up"]);
  told();
});

it("gives nothing of the key to what listens there, and takes no proof from another address", async () => {
  const heard: string[] = [];
  const real = await node("real", "shared");
  // It passes the other machine's answers on as its own.
  const relay = await serve(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    heard.push(`${request.method} ${request.url} ${JSON.stringify(request.rawHeaders)} ${text}`);
    const answer = await fetch(`${real.url}${request.url}`, { method: "POST", body: text });
    response.end(await answer.text());
  });
  const { fleet, states } = fleetOf([{ name: "real", url: relay, address: "100.64.0.9" }]);
  await fleet.refresh();
  expect(states()).toEqual(["near online", "real wrong_key"]);
  expect(heard).toHaveLength(1);
  expect(heard[0]).toMatch(/^POST \/api\/peer\/hello /);
  expect(heard[0]).not.toMatch(/shared|authorization|proof/i);
});

it("finds itself in a list of nodes, and takes the name that it has there", async () => {
  const own = await node("far", "shared");
  const { fleet, states } = fleetOf([{ name: "box", url: own.url }], {
    instance: own.peers.instance,
  });
  await fleet.refresh();
  await fleet.refresh();
  expect(states()).toEqual(["box online"]);
  expect(fleet.peer("box")).toBeUndefined();
});

it("opens a new session where the other daemon was restarted", async () => {
  const far = await node("far", "shared");
  const { fleet, states } = fleetOf([{ name: "far", url: far.url }]);
  await fleet.refresh();
  Object.assign(
    far.peers,
    new PeerSessions(
      () => peerSecret("shared"),
      () => "far",
    ),
  );
  await delay(0);
  await fleet.refresh();
  expect(states()).toEqual(["near online", "far online"]);
});

it("reaches nodes by way of a proxy, and says what that answers", async () => {
  const far = await node("far", "shared");
  const asked: string[] = [];
  const proxy = createServer().listen(0, "127.0.0.1");
  proxy.on("connect", ({ url = "" }, client: Socket) => {
    asked.push(url);
    if (url.endsWith(":9")) return client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    client.write("HTTP/1.1 200 OK\r\n\r\n");
    const there = connect(Number(url.split(":")[1]), "127.0.0.1");
    there.on("error", () => client.destroy());
    client.on("error", () => there.destroy());
    client.pipe(there).pipe(client);
  });
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  const { fleet, states } = fleetOf(
    [
      { name: "far", url: far.url },
      { name: "closed", url: "http://10.0.0.1:9" },
    ],
    { proxy: `http://127.0.0.1:${port}` },
  );
  await fleet.refresh();
  expect(states()).toEqual(["near online", "far online", "closed offline"]);
  expect(fleet.list().nodes[2]?.reason).toContain("502 Bad Gateway");
  expect(new Set(asked)).toEqual(new Set(["10.0.0.1:9", far.url.replace("http://", "")]));
  proxy.close();
});

it("takes what its own Tailscale hands on for what came to its address in the tailnet", async () => {
  const address = "100.64.0.7";
  const self = { name: "box", url: "http://100.64.0.7:7777", self: true, address };
  const { fleet } = fleetOf([{ ...self, handsOn: true }]);
  await fleet.refresh();
  expect(["127.0.0.1", "::1", "10.0.0.2"].map((each) => fleet.reachedAt(each))).toEqual([
    ...[address, address, "10.0.0.2"],
  ]);
  const { fleet: other } = fleetOf([self]);
  await other.refresh();
  expect(other.reachedAt("127.0.0.1")).toBe("127.0.0.1");
});
