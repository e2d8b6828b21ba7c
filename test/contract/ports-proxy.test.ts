import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { startSpaceServer } from "../support/space-server.js";

const MiB = 1024 ** 2;

describe("the proxy into a space", () => {
  let daemon: Daemon;
  const path = (rest = "/") => `/api/spaces/web/proxy/9000${rest}`;
  const get = (rest: string) => daemon.request("GET", path(rest));
  const stats = async () =>
    (await (await get("/stats")).json()) as Record<"sent" | "received" | "closed" | "open", number>;

  /** Resolves when the server has no request left but the one that asks. */
  const allClosed = () =>
    expect.poll(async () => (await stats()).open, { timeout: 30_000, interval: 100 }).toBe(1);

  beforeAll(async () => {
    daemon = await startDaemon({ IDLE_TIMEOUT_MS: "1500" });
    // Nothing is published and no network is there: the guest agent carries it all.
    await daemon.space("web", { template: "offline" });
    await startSpaceServer(daemon, "web", 9000);
  });
  afterAll(() => daemon.stop());

  /** The most memory that the daemon's process held while `task` ran, above what it held before. */
  async function growth(task: () => Promise<void>): Promise<number> {
    const kept = async (field: string) => {
      const status = await readFile(`/proc/${daemon.pid}/status`, "utf8");
      return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) * 1024;
    };
    await writeFile(`/proc/${daemon.pid}/clear_refs`, "5");
    const before = await kept("VmRSS");
    await task();
    return (await kept("VmHWM")) - before;
  }

  it("never shows the space a key, a session or where somebody came from", async () => {
    const seen = [];
    for (const [query, headers] of [
      ["", { authorization: `Bearer ${daemon.key}` }],
      [`?key=${daemon.key}&a=1`, {}],
      [`?a=1&key=${daemon.key}`, { cookie: "clawdspace_session=abc; clawdspace_preview=def; x=1" }],
    ] as const) {
      const answer = await fetch(`${daemon.url}${path(`/record${query}`)}`, {
        method: "POST",
        headers: {
          ...headers,
          origin: daemon.url,
          referer: `${daemon.url}/spaces?key=${daemon.key}`,
          "x-forwarded-for": "100.101.102.103",
        },
        body: "the body",
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.getSetCookie().join()).not.toContain("clawdspace_session");
      seen.push(await answer.text());
    }
    for (const text of seen) {
      expect(text).not.toContain(daemon.key);
      expect(text).not.toMatch(/clawdspace_|100\.101\.102\.103|spaces\?/);
      const { headers, body, url } = JSON.parse(text);
      expect(headers).toMatchObject({ host: "localhost:9000", origin: "http://localhost:9000" });
      expect(body).toBe("the body");
      expect(url).toMatch(/^\/record(\?a=1)?$/);
    }
    expect(daemon.log).not.toContain(daemon.key);
  });

  it("keeps redirects and cookies below the port", async () => {
    const answer = await daemon.request("GET", path("/redirect"), undefined, {
      redirect: "manual",
    });
    expect(answer.headers.get("location")).toBe(path("/record?from=redirect"));
    expect(answer.headers.getSetCookie()).toEqual([`sid=1; HttpOnly; Path=${path("/")}`]);
    expect(answer.headers.get("content-security-policy")).toMatch(/^sandbox /);
  });

  it("streams 100 MiB each way, byte for byte, with little memory", async () => {
    const bytes = 100 * MiB;
    const block = Buffer.alloc(65536, "0123456789abcdef");
    const wanted = createHash("sha256");
    for (let at = 0; at < bytes; at += block.length) wanted.update(block);
    const sha256 = wanted.digest("hex");
    const grown = await growth(async () => {
      const got = createHash("sha256");
      const answer = await get(`/down?bytes=${bytes}`);
      for await (const chunk of answer.body ?? []) got.update(chunk);
      expect(got.digest("hex")).toBe(sha256);
      const body = Readable.toWeb(
        Readable.from(Array.from({ length: bytes / block.length }, () => block)),
      );
      const up = await daemon.request("POST", path("/up"), undefined, {
        body,
        duplex: "half",
      } as RequestInit);
      expect(await up.json()).toEqual({ bytes, sha256 });
    });
    expect(grown).toBeLessThan(64 * MiB);
  });

  it("goes at the pace of a slow reader and of a slow server", async () => {
    const { sent, received } = await stats();
    const grown = await growth(async () => {
      const down = httpRequest(`${daemon.url}${path(`/down?bytes=${300 * MiB}`)}`, {
        headers: { authorization: `Bearer ${daemon.key}` },
      }).end();
      const [slow] = (await once(down, "response")) as [IncomingMessage];
      const block = randomBytes(65536);
      const up = httpRequest(`${daemon.url}${path("/up?pause=50")}`, {
        method: "POST",
        headers: { authorization: `Bearer ${daemon.key}` },
      });
      up.on("error", () => {});
      let offered = 0;
      Readable.from(
        (function* () {
          for (; offered < 300 * MiB; offered += block.length) yield block;
        })(),
      ).pipe(up);
      await delay(2000);
      const after = await stats();
      expect(after.sent - sent).toBeLessThan(30 * MiB);
      expect(after.received - received).toBeLessThan(30 * MiB);
      expect(offered).toBeLessThan(30 * MiB);
      slow.destroy();
      up.destroy();
    });
    expect(grown).toBeLessThan(64 * MiB);
    await allClosed();
  });

  it("breaks off in the space when the client goes away", async () => {
    const before = await stats();
    const stop = new AbortController();
    const hanging = daemon.request("GET", path("/hang"), undefined, { signal: stop.signal });
    const events = await daemon.request("GET", path("/events"), undefined, { signal: stop.signal });
    const reader = events.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain("data: tick");
    expect((await stats()).open).toBe(3);
    stop.abort();
    await expect(hanging).rejects.toThrow();
    await allClosed();
    expect((await stats()).closed).toBeGreaterThan(before.closed + 2);
  });

  it("echoes WebSocket frames, and keeps the space awake while one is open", async () => {
    const url = `ws${daemon.url.slice(4)}${path("/echo")}?key=${daemon.key}`;
    const socket = new WebSocket(url, { perMessageDeflate: false });
    await once(socket, "open");
    const big = randomBytes(2 * MiB);
    socket.send(big);
    expect(big.equals((await once(socket, "message"))[0])).toBe(true);
    // Longer than the time after which a space that nobody uses is put to sleep.
    await delay(2500);
    expect((await daemon.json("GET", "/api/spaces/web")).body.space.status).toBe("running");
    socket.send("still there");
    expect((await once(socket, "message"))[0].toString()).toBe("still there");
    socket.close();
    await once(socket, "close");
    const status = async () => (await daemon.json("GET", "/api/spaces/web")).body.space.status;
    await expect.poll(status, { timeout: 10_000, interval: 250 }).toBe("paused");
  });

  it("wakes a space that sleeps for an HTTP request and for a WebSocket", async () => {
    for (const ask of [
      async () => expect((await get("/record")).status).toBe(200),
      async () => {
        const socket = new WebSocket(`ws${daemon.url.slice(4)}${path("/")}`, {
          headers: { authorization: `Bearer ${daemon.key}` },
        });
        await once(socket, "open");
        socket.close();
        await once(socket, "close");
      },
    ]) {
      await daemon.json("POST", "/api/spaces/web/stop");
      await ask();
    }
  });

  it("serves many at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, at) => (await get(`/record?${at}`)).json()),
    );
    expect(answers.map((answer) => (answer as { url: string }).url)).toEqual(
      Array.from({ length: 100 }, (_, at) => `/record?${at}`),
    );
  });

  it("ends with the space, as an error of the client's connection", async () => {
    await daemon.space("doomed");
    await startSpaceServer(daemon, "doomed", 9000);
    const socket = new WebSocket(`ws${daemon.url.slice(4)}/api/spaces/doomed/proxy/9000/`, {
      headers: { authorization: `Bearer ${daemon.key}` },
    });
    await once(socket, "open");
    const closed = once(socket, "close");
    socket.on("error", () => {});
    await daemon.json("DELETE", "/api/spaces/doomed?removeVolume=true");
    await closed;
  });

  it("lets the daemon end with streams open", async () => {
    const socket = new WebSocket(`ws${daemon.url.slice(4)}${path("/")}`, {
      headers: { authorization: `Bearer ${daemon.key}` },
    });
    await once(socket, "open");
    const events = await get("/events");
    const began = Date.now();
    await daemon.kill("SIGTERM");
    // Requests in flight would get ten seconds.
    expect(Date.now() - began).toBeLessThan(9000);
    await expect(events.text()).rejects.toThrow();
    await daemon.run();
    expect((await get("/record")).status).toBe(200);
  });
});
