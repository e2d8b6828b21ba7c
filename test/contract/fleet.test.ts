import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import WebSocket from "ws";
import { type Daemon, freePort, startDaemon } from "../support/daemon.js";

const key = `fleet-key-${randomBytes(8).toString("hex")}`;
let near: Daemon;
let far: Daemon;
let agent: string;
let viewer: string;

// Two daemons with namespaces of their own at one engine; each is to the other a node like any.
beforeAll(async () => {
  const [a, b, dead] = [await freePort(), await freePort(), await freePort()];
  const nodes = `a=http://127.0.0.1:${a},b=http://127.0.0.1:${b},dead=http://127.0.0.1:${dead}`;
  const env = {
    ...{ API_KEY: key, CLAWDSPACE_NODES: nodes, NODES_REFRESH_MS: "2000" },
    CLAWDSPACE_PREVIEW_DOMAIN: "preview.test",
  };
  [near, far] = await Promise.all([
    startDaemon({ ...env, PORT: `${a}` }),
    startDaemon({ ...env, PORT: `${b}` }),
  ]);
  await vi.waitFor(async () => expect(await states(near)).toEqual(ALL), { timeout: 15_000 });
  await far.space("there");
  await near.space("here");
  const make = async (name: string, role: string) =>
    (await near.json("POST", "/api/keys", { name, role })).body.secret as string;
  agent = await make("bot", "agent");
  viewer = await make("eye", "viewer");
}, 60_000);
afterAll(async () => {
  await near?.stop();
  await far?.stop();
});

const ALL = ["a online", "b online", "dead offline"];
const states = async (daemon: Daemon) =>
  (await daemon.json("GET", "/api/nodes")).body.nodes
    .map(({ name, state }: { name: string; state: string }) => `${name} ${state}`)
    .sort();

const as = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });

/** Asks the near node as a browser does for a page of the host of a link. */
async function visit(link: string, path: string, headers: Record<string, string> = {}) {
  const { host } = new URL(link);
  const asked = request(`${near.url}${path}`, { headers: { ...headers, host } }).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return { status: answer.statusCode, headers: answer.headers, text: await text(answer) };
}

describe("one door", () => {
  it("lists the nodes, the one that answers first", async () => {
    const { body } = await far.json("GET", "/api/nodes");
    expect(body.nodes[0]).toMatchObject({ name: "b", self: true, status: "online" });
    expect(body.nodes[1]).toMatchObject({
      name: "a",
      status: "online",
      capabilities: { gpu: false },
    });
    expect(body.nodes[2]).toMatchObject({
      name: "dead",
      status: "offline",
      reason: expect.stringContaining("ECONNREFUSED"),
    });
    expect(body.lastUpdatedAt).toBeGreaterThan(Date.now() - 60_000);
  });

  it("runs commands in a space of another node, found or named, as who asks", async () => {
    for (const path of ["there", "there@b", "there?node=b", "there%40b"]) {
      const [name = "", query] = path.split("?");
      const at = `/api/spaces/${name}/exec${query ? `?${query}` : ""}`;
      const answer = await near.request("POST", at, { command: `echo ${name}` }, as(agent));
      expect([path, answer.status, await answer.json()]).toMatchObject([
        path,
        200,
        { exitCode: 0 },
      ]);
    }
    const { events } = (await far.json("GET", "/api/audit?space=there&type=space.exec")).body;
    expect(events).toHaveLength(4);
    expect(events[0]).toMatchObject({ actor: "key:bot", meta: { via: "a", outcome: "ok" } });
    // What is passed on isn't logged a second time.
    expect((await near.json("GET", "/api/audit?space=there")).body.events).toEqual([]);
  });

  it("keeps status codes, and the roles and limits of who asks", async () => {
    const of = async (method: string, path: string, secret: string, body?: unknown) =>
      (await near.request(method, path, body, as(secret))).status;
    expect(await of("GET", "/api/spaces/there", viewer)).toBe(200);
    expect(await of("POST", "/api/spaces/there/exec", viewer, { command: "true" })).toBe(403);
    expect(await of("POST", "/api/spaces/there/exec", agent, { comand: "true" })).toBe(400);
    expect(await of("GET", "/api/spaces/there/file?path=/none", agent)).toBe(404);
    expect(await of("GET", "/api/spaces/nowhere", agent)).toBe(404);
    expect(await of("GET", "/api/spaces/there@nowhere", agent)).toBe(404);
    expect(await of("GET", "/api/spaces/there@dead", agent)).toBe(502);
    expect(await of("GET", "/api/spaces/there", "wrong")).toBe(401);
    expect(await of("GET", "/api/system?node=b", viewer)).toBe(200);
  });

  it("carries uploads and downloads of any size, byte for byte", async () => {
    const bytes = randomBytes(24 * 1024 ** 2);
    const path = "/api/spaces/there/files/raw?path=/big.bin";
    const put = await near.request("PUT", path, bytes, {
      headers: { ...as(agent).headers, "content-type": "application/octet-stream" },
    });
    expect(put.status).toBe(200);
    const got = await near.request("GET", path, undefined, as(agent));
    expect(got.headers.get("etag")).toBeTruthy();
    const hash = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
    expect(hash(new Uint8Array(await got.arrayBuffer()))).toBe(hash(bytes));
    const part = await near.request("GET", path, undefined, {
      headers: { ...as(agent).headers, range: "bytes=10-19" },
    });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(bytes.subarray(10, 20));
  });

  it("streams output as it comes, and ends the command when its client goes", async () => {
    const leave = new AbortController();
    const command = "echo $$; trap 'echo ended > /workspace/ended' TERM; sleep 1000 & wait";
    const answer = await near.request(
      "POST",
      "/api/spaces/there/exec",
      { command },
      {
        headers: {
          ...as(agent).headers,
          accept: "application/x-ndjson",
          "content-type": "application/json",
        },
        signal: leave.signal,
      },
    );
    const reader = answer.body?.getReader();
    const first = new TextDecoder().decode((await reader?.read())?.value);
    expect(first).toContain("stdout");
    const running = async () =>
      (await far.json("POST", "/api/spaces/there/exec", { command: "pgrep -c sleep" })).body.stdout;
    expect(await running()).toBe("1");
    leave.abort();
    await vi.waitFor(async () => expect(await running()).toBe("0"), { timeout: 10_000 });
  });

  it("opens terminals there, and refuses those that can't be before the upgrade", {
    timeout: 20_000,
  }, async () => {
    const url = (space: string) =>
      `${near.url.replace("http", "ws")}/api/spaces/${space}/terminal?key=${agent}`;
    const socket = new WebSocket(url("there"));
    let shown = "";
    socket.on("message", (data) => {
      shown += data.toString();
    });
    await once(socket, "open");
    socket.send(JSON.stringify({ type: "input", data: "echo $((6*7)) from $(hostname)\n" }));
    await vi.waitFor(() => expect(shown).toContain("42 from there"), { timeout: 10_000 });
    socket.send(JSON.stringify({ type: "ping" }));
    await vi.waitFor(() => expect(shown).toContain('{"type":"pong"}'));
    socket.close();
    const missing = new WebSocket(url("nowhere"));
    const [, response] = await once(missing, "unexpected-response");
    expect(response.statusCode).toBe(404);
    missing.on("error", () => {});
    missing.terminate();
  });

  it("reaches ports there by proxy and by link", async () => {
    const serve =
      "mkdir -p /tmp/w && echo page > /tmp/w/x && cd /tmp/w && python3 -m http.server 3000";
    await near.json("POST", "/api/spaces/there/processes", { command: serve });
    expect((await near.json("POST", "/api/spaces/there/ports/3000/wait", {})).status).toBe(200);
    const page = await near.request("GET", "/api/spaces/there/proxy/3000/x?node=b&key=mine");
    expect([page.status, await page.text()]).toEqual([200, "page\n"]);
    const wanted = { via: "path" };
    const link = (await near.json("POST", "/api/spaces/there/ports/3000/link", wanted)).body;
    expect(link.url).toContain(near.url);
    expect(await (await fetch(`${link.url}x`)).text()).toBe("page\n");
  });

  it("opens previews there by hosts of their own", async () => {
    await far.space("Over_There");
    const serve =
      "mkdir -p /tmp/w && echo page > /tmp/w/x && cd /tmp/w && python3 -m http.server 3000";
    await near.json("POST", "/api/spaces/Over_There/processes", { command: serve });
    for (const name of ["there", "Over_There"]) {
      const path = `/api/spaces/${name}/ports/3000`;
      expect((await near.json("POST", `${path}/wait`, {})).status).toBe(200);
      const { url } = (await near.json("POST", `${path}/link`, { via: "host" })).body;
      expect(url).toMatch(/^http:\/\/3000-[-a-z0-9]+\.preview\.test:\d+\/\?/);
      const closed = await visit(url, "/x");
      expect(closed.status).toBe(403);
      const opened = await visit(url, `/x${new URL(url).search}`);
      const [cookie = ""] = opened.headers["set-cookie"] ?? [];
      expect([opened.status, opened.headers.location]).toEqual([303, "/x"]);
      const page = await visit(url, "/x?node=b", { cookie: cookie.split(";")[0] ?? "" });
      expect([page.status, page.text]).toEqual([200, "page\n"]);
    }
    expect((await near.json("DELETE", "/api/spaces/Over_There?removeVolume=true")).status).toBe(
      200,
    );
  });

  it("says where two spaces of one name are, and takes the one that is named", async () => {
    await near.space("twin");
    await far.space("twin", { description: "the far one" });
    await near.request("GET", "/api/nodes?refresh=true");
    const { status, body } = await near.json("GET", "/api/spaces/twin");
    expect([status, body.code]).toEqual([409, "ambiguous"]);
    expect(body.error).toContain("twin@a or twin@b");
    expect((await near.json("GET", "/api/spaces/twin@b")).body.space.description).toBe(
      "the far one",
    );
    expect((await near.json("GET", "/api/spaces/twin@a")).body.space.description).toBeUndefined();
    expect((await near.json("DELETE", "/api/spaces/twin@b?removeVolume=true")).status).toBe(200);
    expect((await near.json("DELETE", "/api/spaces/twin?removeVolume=true")).status).toBe(200);
    expect((await near.json("GET", "/api/spaces/twin")).status).toBe(404);
  });
});

describe("placing", () => {
  const create = async (body: object) =>
    await near.json("POST", "/api/spaces", { memory: "256m", ...body });

  it("lists all spaces with their nodes, and says what is missing", async () => {
    const { status, body } = await near.json("GET", "/api/spaces?node=all");
    expect(status).toBe(200);
    const found = body.spaces.map(({ name, node }: { name: string; node: string }) => [name, node]);
    expect(found).toEqual([
      ["here", "a"],
      ["there", "b"],
    ]);
    expect(body.errors).toMatchObject([{ node: "dead", code: "node_unreachable" }]);
    expect((await near.json("GET", "/api/spaces?node=b")).body.spaces).toHaveLength(1);
    expect((await near.json("GET", "/api/spaces")).body.errors).toBeUndefined();
  });

  it("makes a space on the node that is named, with progress where that is asked for", async () => {
    const named = await create({ name: "named", node: "b" });
    expect([named.status, named.body.space.node]).toEqual([201, "b"]);
    expect((await far.json("GET", "/api/spaces/named")).status).toBe(200);
    const again = await create({ name: "named", node: "b" });
    expect([again.status, again.body.code]).toEqual([409, "exists"]);
    const lines = await near.request(
      "POST",
      "/api/spaces",
      { name: "lines", memory: "256m", node: "b" },
      {
        headers: {
          ...as(agent).headers,
          accept: "application/x-ndjson",
          "content-type": "application/json",
        },
      },
    );
    const last = JSON.parse((await lines.text()).trim().split("\n").at(-1) ?? "");
    expect(last).toMatchObject({ type: "space", space: { name: "lines" } });
    for (const name of ["named", "lines"]) {
      expect((await near.json("DELETE", `/api/spaces/${name}?removeVolume=true`)).status).toBe(200);
    }
    expect((await create({ name: "x", node: "dead" })).status).toBe(502);
    expect((await create({ name: "x", node: "none" })).status).toBe(404);
  });

  it("chooses by what is free, says why not another, and leaves drained nodes out over restarts", async () => {
    expect((await near.json("POST", "/api/nodes/a/drain")).status).toBe(200);
    const made = await create({ name: "auto1", node: "auto" });
    expect([made.status, made.body.placement?.node]).toEqual([201, "b"]);
    expect(made.body.placement.considered).toMatchObject([
      { node: "b", score: expect.any(Number) },
      { node: "a", passedOver: "it is drained" },
      { node: "dead", passedOver: "it is offline" },
    ]);
    expect((await near.json("POST", "/api/nodes/b/drain")).body.message).toContain(
      '"b" is given no',
    );
    await near.restart();
    const full = await vi.waitFor(async () => {
      const answer = await create({ name: "auto2", node: "auto" });
      expect(answer.body.issues).toHaveLength(3);
      expect(answer.body.error).toContain("b: it is drained");
      return answer;
    }, 15_000);
    expect([full.status, full.body.code]).toEqual([422, "insufficient_resources"]);
    for (const node of ["a", "b"]) await near.json("POST", `/api/nodes/${node}/undrain`);
    const huge = await create({ name: "auto2", node: "auto", memory: "4t" });
    expect(huge.body.error).toMatch(
      /a: it has \d+ MiB of memory free.*b: it has \d+ MiB.*dead: it is offline/,
    );
    const unlike = await create({
      name: "auto2",
      node: "auto",
      placement: { labels: { disk: "ssd" } },
    });
    expect(unlike.body.error).toContain("a: it isn't labelled disk=ssd");
    expect((await near.json("DELETE", "/api/spaces/auto1?removeVolume=true")).status).toBe(200);
  });
});

describe("a node that is killed", () => {
  it("ends what it streamed with a clear error, is told as gone, and holds nobody up", {
    timeout: 40_000,
  }, async () => {
    const lines = await near.request(
      "POST",
      "/api/spaces/there/exec",
      { command: "echo hi; sleep 1000" },
      {
        headers: {
          ...as(agent).headers,
          accept: "application/x-ndjson",
          "content-type": "application/json",
        },
      },
    );
    const reader = lines.body?.getReader();
    await reader?.read();
    const socket = new WebSocket(
      `${near.url.replace("http", "ws")}/api/spaces/there/terminal?key=${agent}`,
    );
    await once(socket, "open");
    await once(socket, "message");
    await delay(300);
    const closed = once(socket, "close");
    await far.kill("SIGKILL");
    const last = new TextDecoder().decode((await reader?.read())?.value);
    expect(JSON.parse(last)).toMatchObject({ type: "error", code: "node_unreachable" });
    const [code, reason] = await closed;
    expect([code, `${reason}`]).toEqual([1014, 'Node "b" stopped answering.']);
    await vi.waitFor(async () => expect(await states(near)).toContain("b offline"));
    expect((await near.json("POST", "/api/spaces/here/exec", { command: "true" })).status).toBe(
      200,
    );
    const gone = await near.json("GET", "/api/spaces/there");
    expect([gone.status, gone.body.code]).toEqual([502, "node_unreachable"]);
    await far.run();
    await vi.waitFor(async () => expect(await states(near)).toContain("b online"), {
      timeout: 20_000,
    });
    expect((await near.json("POST", "/api/spaces/there/exec", { command: "true" })).status).toBe(
      200,
    );
  });

  it("is spoken to anew where it was restarted between two looks", async () => {
    await far.restart();
    expect((await near.json("POST", "/api/spaces/there/exec", { command: "true" })).status).toBe(
      200,
    );
  });
});
