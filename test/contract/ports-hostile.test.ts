import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { runInSpace, startSpaceServer, waitForPort } from "../support/space-server.js";

/** Each port misbehaves in its own way as soon as it has been asked something. */
const HOSTILE = String.raw`
const { createServer } = require("node:net");
const flood = (socket, text) => {
  const block = text.repeat(Math.ceil(65536 / text.length));
  const more = () => { while (!socket.destroyed && socket.write(block)); };
  socket.on("drain", more);
  more();
};
const ways = [
  (socket) => { socket.write("HTTP/1.1 200 OK\r\n"); flood(socket, "X-Header: value\r\n"); },
  (socket) => { socket.write("HTTP/1.1 200 OK\r\nX: "); flood(socket, "x"); },
  (socket) => flood(socket, "HTTP/1.1 100 Continue\r\n\r\n"),
  (socket) => flood(socket, "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
  (socket) => { socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"); flood(socket, "a=b;"); },
  (socket) => { socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"); flood(socket, "X-Trailer: value\r\n"); },
  (socket) => flood(socket, "\r\n"),
  (socket) => flood(socket, "\0\1\2\3"),
  (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
  (socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\n"),
  (socket) => socket.write("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\rclawdspace_session=evil\r\n\r\n"),
  (socket) => socket.write("HTTP/1.1 200 OK\r\nX: 1\r\n Y: folded\r\nContent-Length: 2, 3\r\n\r\nabc"),
];
ways.forEach((way, at) => createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => way(socket));
}).listen(6000 + at, "127.0.0.1"));
// One that reads nothing and says nothing.
createServer((socket) => socket.on("error", () => {}).pause()).listen(6100, "127.0.0.1");
`;
const WAYS = 12;
const EMPTY_LINES = 6;

describe("a hostile server in a space", () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await startDaemon();
    await daemon.space("evil", { template: "offline" });
    await daemon.space("good", { template: "offline" });
    await runInSpace(daemon, "evil", "node", HOSTILE);
    await startSpaceServer(daemon, "good", 9000);
    await waitForPort(daemon, "evil", 6100);
  });
  afterAll(() => daemon.stop());

  const ask = async (port: number) => {
    const stop = AbortSignal.timeout(3000);
    try {
      const answer = await daemon.request("GET", `/api/spaces/evil/proxy/${port}/`, undefined, {
        signal: stop,
      });
      return { status: answer.status, text: await answer.text(), headers: answer.headers };
    } catch {
      return undefined;
    }
  };

  it("gets no more than a clean error or a broken connection out of the daemon", async () => {
    await writeFile(`/proc/${daemon.pid}/clear_refs`, "5");
    const memory = async (field: string) =>
      Number(
        new RegExp(`${field}:\\s+(\\d+)`).exec(
          await readFile(`/proc/${daemon.pid}/status`, "utf8"),
        )?.[1],
      ) * 1024;
    const before = await memory("VmRSS");
    const outcomes = [];
    for (let way = 0; way < WAYS; way++) {
      const asked = Promise.all(Array.from({ length: 8 }, () => ask(6000 + way)));
      // Meanwhile the daemon works for others.
      const good = await daemon.request("GET", "/api/spaces/good/proxy/9000/record");
      expect(good.status).toBe(200);
      outcomes.push(...(await asked).map((answer) => ({ way, answer })));
    }
    for (const { way, answer } of outcomes) {
      if (!answer) continue;
      expect([200, 502], `way ${way}`).toContain(answer.status);
      if (answer.status === 502) expect(JSON.parse(answer.text).code).toBe("space_broken");
      expect(answer.headers.getSetCookie().join()).not.toContain("clawdspace");
    }
    expect(outcomes.filter(({ answer }) => answer?.status === 502).length).toBeGreaterThan(8 * 7);
    const empty = outcomes.filter(({ way }) => way === EMPTY_LINES);
    expect(empty.map(({ answer }) => answer?.status)).toEqual(Array(8).fill(502));
    expect((await memory("VmHWM")) - before).toBeLessThan(64 * 1024 ** 2);
    const { body } = await daemon.json("POST", "/api/spaces/evil/exec", { command: "echo fine" });
    expect(body.stdout).toBe("fine");
  });

  it("holds only as many connections as it may have, and none after they are closed", async () => {
    const sockets = Array.from({ length: 300 }, () => {
      const socket = new WebSocket(`ws${daemon.url.slice(4)}/api/spaces/evil/ports/6100/tcp`, {
        headers: { authorization: `Bearer ${daemon.key}` },
      });
      socket.on("error", () => {});
      return socket;
    });
    const states = await Promise.all(
      sockets.map((socket) =>
        Promise.race([
          once(socket, "open").then(() => 101),
          once(socket, "unexpected-response").then(([, answer]) => answer.statusCode as number),
        ]),
      ),
    );
    expect(states.filter((status) => status === 101).length).toBeGreaterThan(200);
    const refused = states.filter((status) => status !== 101);
    expect(refused.length).toBeGreaterThan(10);
    expect(new Set(refused)).toEqual(new Set([429]));
    expect((await daemon.json("GET", "/api/spaces/evil/ports")).status).toBe(200);
    for (const socket of sockets) socket.terminate();
    await delay(500);
    const again = await daemon.json("POST", "/api/spaces/evil/ports/6100/wait", {
      timeoutMs: 5000,
    });
    expect(again.status).toBe(200);
  });
});
