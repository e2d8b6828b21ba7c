import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import {
  type ClientRequest,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { ClawdspaceError } from "@clawdspace/protocol";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { buildApp } from "../app.js";
import { readConfig } from "../config.js";
import { DockerEngine } from "../engine/docker-engine.js";
import { GuestError } from "../guest/types.js";
import { PortService } from "../ports/port-service.js";
import { PreviewTokens } from "../ports/preview-token.js";
import { Previews } from "../ports/previews.js";
import { createServices, type Services } from "../services.js";

const KEY = "a-key-of-the-owner";
const auth = { authorization: `Bearer ${KEY}` };

/** The space is this process: its ports are ports here. */
const entry = { id: "c0ffee".repeat(10), name: "Box_1", state: "running", spec: { guest: true } };
const open = new Set<Socket>();
let uses = 0;
let peak = 0;

const guest = {
  connect: (port: number) =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      socket.once("connect", () => resolve(socket));
      socket.once("error", () => reject(new GuestError("refused", "refused")));
    }),
};
const spaces = {
  find: async (name: string) => {
    if (name === entry.name) return entry;
    throw new ClawdspaceError("not_found", `There is no space "${name}".`);
  },
  list: async () => [{ name: entry.name }, { name: "another" }],
  acquire: async (name: string) => {
    await spaces.find(name);
    peak = Math.max(peak, ++uses);
    return { entry, release: () => uses-- };
  },
};

let folder: string;
let services: Services;
let app: Awaited<ReturnType<typeof buildApp>>;
let base: string;
let port: number;
let server: Server;
let handler: RequestListener;
const servers: { close(): void }[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "clawdspace-proxy-"));
  const logger = pino({ level: "silent" });
  const config = readConfig({ CLAWDSPACE_DATA_DIR: folder, CLAWDSPACE_CONFIG_DIR: folder });
  // No engine is there; what the proxy asks of spaces is answered here.
  services = createServices(config, new DockerEngine(join(folder, "no.sock")), logger, KEY);
  await services.recorder.open();
  Object.assign(services, {
    ports: new PortService(spaces as never, { of: async () => guest } as never),
    previews: new Previews(
      spaces as never,
      new PreviewTokens(join(folder, "preview-secret")),
      "preview.test",
    ),
  });
  app = await buildApp(services, { authDisabled: false, logger });
  base = await app.listen({ port: 0, host: "127.0.0.1" });
});

afterAll(async () => {
  await app.close();
  await services.recorder.close();
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  server = createServer((request, response) => handler(request, response));
  port = await listen(server);
  peak = 0;
});

afterEach(async () => {
  for (const each of servers.splice(0)) each.close();
  server.closeAllConnections();
  await until(() => uses === 0 && open.size === 0);
});

async function listen(which: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  which.listen(0, "127.0.0.1");
  await once(which, "listening");
  servers.push(which);
  return (which.address() as AddressInfo).port;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !condition(); tries++) await delay(10);
  expect(condition()).toBe(true);
}

/** A request whose path and headers go out as they are given, Host and Origin included. */
async function raw(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<{ status: number; headers: IncomingMessage["headers"]; body: string }> {
  const { hostname, port: at } = new URL(base);
  const outgoing = httpRequest({ method, path, headers, hostname, port: at });
  outgoing.end(body);
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of answer) text += chunk;
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: text };
}

const proxied = (path = "/") => `/api/spaces/${entry.name}/proxy/${port}${path}`;

async function linked(options: object = { via: "path" }) {
  const answer = await fetch(`${base}/api/spaces/${entry.name}/ports/${port}/link`, {
    method: "POST",
    headers: { ...auth, "content-type": "application/json" },
    body: JSON.stringify(options),
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as { url: string; basePath: string; expiresAt: string; via: string };
}

describe("requests through the proxy", () => {
  it("carries method, path, query, headers and body, and the answer back", async () => {
    handler = async (request, response) => {
      const chunks = await Readable.from(request).toArray();
      response.writeHead(201, { "x-answer": "yes", "content-type": "text/odd" });
      response.end(
        `${request.method} ${request.url} ${request.headers["x-ask"]} ${chunks.join("")}`,
      );
    };
    const answer = await raw(
      "PATCH",
      proxied("/a%2Fb//c/../d?x=1&y=%20&x"),
      { ...auth, "x-ask": "it", "content-type": "not/really; a=;type" },
      "body",
    );
    expect(answer.status).toBe(201);
    expect(answer.headers["x-answer"]).toBe("yes");
    expect(answer.body).toBe("PATCH /a%2Fb//c/../d?x=1&y=%20&x it body");
  });

  it.each(["GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "M-SEARCH", "TRACE"])(
    "carries %s",
    async (method) => {
      handler = (request, response) => response.end(request.method);
      const answer = await raw(method, proxied(), auth);
      expect(answer).toMatchObject({ status: 200, body: method === "HEAD" ? "" : method });
    },
  );

  it("says that nothing listens", async () => {
    const { port: nobody } = await closed();
    const answer = await raw("GET", `/api/spaces/${entry.name}/proxy/${nobody}/`, auth);
    expect(answer.status).toBe(409);
    expect(JSON.parse(answer.body)).toMatchObject({ code: "wrong_state" });
    expect(answer.body).toContain(`Nothing listens on port ${nobody} of space \\"Box_1\\"`);
  });

  it.each(["0", "65536", "http", "-1", "80a"])("refuses the port %s", async (bad) => {
    const answer = await raw("GET", `/api/spaces/${entry.name}/proxy/${bad}/`, auth);
    expect(answer.status).toBe(400);
  });

  it("needs a key", async () => {
    handler = (_request, response) => response.end("secret");
    expect((await raw("GET", proxied())).status).toBe(401);
    expect((await raw("POST", proxied(), { cookie: "clawdspace_session=x" })).status).toBe(401);
  });

  it("tells the server that a browser beside it asks, and nothing that opens the daemon", async () => {
    let seen: IncomingMessage | undefined;
    handler = (request, response) => {
      seen = request;
      response.end();
    };
    await raw("POST", proxied(`/p?key=${KEY}&key=mine&k%65y=${KEY}&a=b`), {
      ...auth,
      cookie: `clawdspace_session=s; app=1; __Host-clawdspace_x=2; clawdspace_preview=p; nameless`,
      origin: base,
      referer: `${base}/?key=${KEY}`,
      "x-forwarded-for": "100.64.0.9",
      "tailscale-user-login": "me@example.com",
      forwarded: "for=1",
    });
    expect(seen?.url).toBe("/p?key=mine&a=b");
    expect(seen?.headers).toEqual({
      host: `localhost:${port}`,
      connection: "close",
      cookie: "app=1",
      origin: `http://localhost:${port}`,
      "content-length": "0",
      "x-forwarded-prefix": proxied(""),
    });
    expect(JSON.stringify(seen?.rawHeaders)).not.toContain(KEY);
  });

  it("leaves an application's own credentials alone", async () => {
    let seen: IncomingMessage | undefined;
    handler = (request, response) => {
      seen = request;
      response.end();
    };
    await raw("POST", proxied(`/p?key=${KEY}`), { cookie: "app=1; other=2" });
    expect(seen?.headers.cookie).toBeUndefined();
    expect(seen?.url).toBe("/p");
    const { basePath } = await linked();
    await raw("POST", `${basePath}p?key=theirs`, { authorization: "Bearer theirs" });
    expect(seen?.headers.authorization).toBe("Bearer theirs");
    expect(seen?.url).toBe("/p?key=theirs");
  });

  it("confines what the answer says to the port", async () => {
    handler = (_request, response) => {
      response.writeHead(302, [
        ...["Location", `http://localhost:${port}/next?x=1`],
        ...["Set-Cookie", "sid=1; Path=/; Domain=localhost; HttpOnly"],
        ...["Set-Cookie", "deep=2; path=/admin; SameSite=Lax"],
        ...["Set-Cookie", "clawdspace_session=evil; Path=/"],
        ...["Set-Cookie", "=clawdspace_session=evil"],
        ...["Set-Cookie", "CLAWDSPACE_preview=evil"],
        ...["Clear-Site-Data", "*"],
        ...["Strict-Transport-Security", "max-age=1"],
        ...["Service-Worker-Allowed", "/"],
        ...["Connection", "x-secret"],
        ...["X-Secret", "hop"],
        ...["Content-Security-Policy", "default-src 'self'"],
      ]);
      response.end();
    };
    const { headers } = await raw("GET", proxied("/x"), auth);
    expect(headers.location).toBe(proxied("/next?x=1"));
    expect(headers["set-cookie"]).toEqual([
      `sid=1; HttpOnly; Path=${proxied("/")}`,
      `deep=2; SameSite=Lax; Path=${proxied("/admin")}`,
    ]);
    for (const gone of [
      "clear-site-data",
      "strict-transport-security",
      "service-worker-allowed",
      "x-secret",
      "x-frame-options",
    ]) {
      expect(headers).not.toHaveProperty(gone);
    }
    const [theirs, ours] = `${headers["content-security-policy"]}`.split(", ");
    expect(theirs).toBe("default-src 'self'");
    expect(ours).toMatch(/^sandbox allow-scripts allow-forms/);
    expect(ours).not.toContain("allow-same-origin");
  });

  it("sends a browser that shows the key in its address to a path that holds none", async () => {
    handler = (_request, response) => response.end("<h1>page</h1>");
    const html = { accept: "text/html,*/*;q=0.8" };
    const answer = await raw("GET", proxied(`/a?b=c&key=${KEY}`), html);
    expect(answer.status).toBe(307);
    expect(answer.headers.location).toMatch(/^\/api\/spaces\/Box_1\/preview\/[^/]+\/a\?b=c$/);
    expect(answer.headers["cache-control"]).toBe("no-store");
    const page = await raw("GET", answer.headers.location ?? "", html);
    expect(page).toMatchObject({ status: 200, body: "<h1>page</h1>" });
    expect(page.headers["content-security-policy"]).toMatch(/^sandbox /);
  });
});

describe("streams through the proxy", () => {
  it("passes server-sent events on as they come, and holds the space until they end", async () => {
    handler = (request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      request.once("close", () => {});
      let count = 0;
      const timer = setInterval(() => response.write(`data: ${++count}\n\n`), 10);
      response.once("close", () => clearInterval(timer));
    };
    const stop = new AbortController();
    const answer = await fetch(base + proxied(), { headers: auth, signal: stop.signal });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toMatch(/^data: 1\n\n/);
    expect(uses).toBe(1);
    stop.abort();
    await until(() => uses === 0 && open.size === 0);
  });

  it("goes at the reader's pace", async () => {
    let sent = 0;
    handler = (_request, response) => {
      response.writeHead(200);
      const more = () => {
        while (sent < 64 * 1024 ** 2) {
          sent += 65536;
          if (!response.write(Buffer.alloc(65536))) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    };
    const outgoing = httpRequest(base + proxied(), { headers: auth }).end();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    await delay(300);
    expect(sent).toBeLessThan(32 * 1024 ** 2);
    let got = 0;
    for await (const chunk of answer) got += chunk.length;
    expect(got).toBe(64 * 1024 ** 2);
  });

  it("carries an upload at the server's pace, and an answer that comes before its end", async () => {
    const refusing = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        socket.pause();
        socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 6\r\n\r\nenough");
      });
    });
    port = await listen(refusing);
    let offered = 0;
    const body = new Readable({
      read() {
        offered += 65536;
        this.push(offered > 64 * 1024 ** 2 ? null : Buffer.alloc(65536));
      },
    });
    const outgoing = httpRequest(base + proxied(), { method: "POST", headers: auth });
    body.pipe(outgoing);
    outgoing.on("error", () => {});
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of answer) text += chunk;
    expect([answer.statusCode, text]).toEqual([413, "enough"]);
    expect(offered).toBeLessThan(32 * 1024 ** 2);
    outgoing.destroy();
  });

  it("drains an upload that a server cuts off, and keeps the connection good", async () => {
    const cutting = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.destroy());
    });
    port = await listen(cutting);
    const { hostname, port: at } = new URL(base);
    const client = connect({ host: hostname, port: Number(at) });
    let answers = "";
    client.on("data", (data) => (answers += data));
    client.write(`POST ${proxied()} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\n`);
    client.write("Content-Length: 16777216\r\n\r\n");
    client.write(Buffer.alloc(16 * 1024 ** 2));
    client.write("GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n");
    await until(() => answers.includes('"status":"ok"'));
    expect(answers).toMatch(/^HTTP\/1.1 502 [\s\S]*HTTP\/1.1 200 /);
    client.destroy();
  });

  it("breaks off at the server when the client does", async () => {
    let ended: Promise<unknown> | undefined;
    handler = (_request, response) => {
      ended = once(response, "close");
    };
    const outgoing: ClientRequest = httpRequest(base + proxied(), { headers: auth }).end();
    outgoing.on("error", () => {});
    await until(() => ended !== undefined);
    outgoing.destroy();
    await ended;
  });

  it("breaks off at the client when the server does", async () => {
    handler = (_request, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write("some");
      setTimeout(() => response.destroy(), 20);
    };
    await expect(raw("GET", proxied(), auth)).rejects.toThrow("aborted");
  });
});

describe("hostile servers", () => {
  const answers: [string, string | ((socket: Socket) => void)][] = [
    ["no HTTP", "SSH-2.0-OpenSSH_9.2p1\r\n"],
    [
      "an unasked switch",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    ],
    ["a status that is none", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"],
    [
      "two framings",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ],
    ["a bare newline", "HTTP/1.1 200 OK\nX: 1\n\n"],
    ["a zero byte", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"],
    ["a great header", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(200_000)}\r\n\r\n`],
    ["nothing", (socket) => socket.end()],
    ["a reset", (socket) => socket.resetAndDestroy()],
    [
      "headers without end",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\n");
        const more = () => {
          while (!socket.destroyed && socket.write(`X-A: ${"y".repeat(100)}\r\n`)) {}
        };
        socket.on("drain", more);
        more();
      },
    ],
    [
      "interim answers without end",
      (socket) => {
        const more = () => {
          while (
            !socket.destroyed &&
            socket.write("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
          ) {}
        };
        socket.on("drain", more);
        more();
      },
    ],
  ];
  it.each(answers)("answers 502 for %s", async (_what, answer) => {
    const hostile = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () =>
        typeof answer === "string" ? socket.write(answer) : answer(socket),
      );
    });
    port = await listen(hostile);
    const got = await raw("GET", proxied(), auth);
    expect(got.status).toBe(502);
    expect(JSON.parse(got.body)).toMatchObject({ code: "space_broken" });
    expect(got.body).toContain(`port ${port} of space \\"Box_1\\" gave no valid HTTP answer`);
  });
});

describe("WebSockets through the proxy", () => {
  it("carries the handshake and frames of every kind, and closes", async () => {
    const echo = new WebSocketServer({ server, handleProtocols: () => "chat" });
    const asked: IncomingMessage[] = [];
    echo.on("connection", (socket, request) => {
      asked.push(request);
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
    const url = `ws${base.slice(4)}${proxied(`/socket?key=${KEY}`)}`;
    const socket = new WebSocket(url, "chat", { headers: { cookie: "clawdspace_session=s" } });
    await once(socket, "open");
    expect(socket.protocol).toBe("chat");
    const big = Buffer.alloc(3 * 1024 ** 2, 7);
    socket.send("text");
    expect((await once(socket, "message"))[0].toString()).toBe("text");
    socket.send(big);
    expect(big.equals((await once(socket, "message"))[0])).toBe(true);
    expect(asked[0]?.url).toBe("/socket");
    expect(JSON.stringify(asked[0]?.rawHeaders)).not.toMatch(/clawdspace|a-key-of/);
    expect(uses).toBe(1);
    socket.close(4001, "done");
    const [code] = await once(socket, "close");
    expect(code).toBe(4001);
  });

  it("answers a refused handshake as the server does, and one to nobody as an error", async () => {
    server.on("upgrade", (_request, socket) =>
      socket.end("HTTP/1.1 418 Teapot\r\nX-Why: tea\r\nContent-Length: 3\r\n\r\nno!"),
    );
    const socket = new WebSocket(`ws${base.slice(4)}${proxied()}`, { headers: auth });
    const [, answer] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
    expect([answer.statusCode, answer.headers["x-why"]]).toEqual([418, "tea"]);
    answer.resume();
    const { port: nobody } = await closed();
    const other = new WebSocket(`ws${base.slice(4)}/api/spaces/Box_1/proxy/${nobody}/`, {
      headers: auth,
    });
    const [, refused] = (await once(other, "unexpected-response")) as [unknown, IncomingMessage];
    expect(refused.statusCode).toBe(409);
    refused.resume();
    const stranger = new WebSocket(`ws${base.slice(4)}${proxied()}`);
    const [, denied] = (await once(stranger, "unexpected-response")) as [unknown, IncomingMessage];
    expect(denied.statusCode).toBe(401);
    denied.resume();
  });
});

describe("links by path", () => {
  it("open one port for whoever has them, sandboxed, with cookies of its own", async () => {
    const { url, basePath, via } = await linked();
    expect([via, url]).toEqual(["path", base + basePath]);
    let seen: IncomingMessage | undefined;
    handler = (request, response) => {
      seen = request;
      response.setHeader("set-cookie", "sid=1; Path=/");
      response.setHeader("access-control-allow-origin", "https://elsewhere.example");
      response.end();
    };
    const cookie = `other=1; cs_${port}_sid=0; cs_9_sid=2; clawdspace_session=s`;
    const answer = await raw("GET", `${basePath}a`, { cookie, origin: "null", referer: url });
    expect(seen?.url).toBe("/a");
    expect(seen?.headers).toMatchObject({
      cookie: "sid=0",
      origin: `http://localhost:${port}`,
      referer: `http://localhost:${port}/`,
    });
    expect(answer.headers).toMatchObject({
      "set-cookie": [`cs_${port}_sid=1; Path=/api/spaces/Box_1/preview/`],
      "access-control-allow-origin": "null",
      vary: "Origin",
    });
    expect(answer.headers["content-security-policy"]).toMatch(/^sandbox /);
    await raw("GET", `${basePath}a`, { origin: "https://elsewhere.example" });
    expect(seen?.headers.origin).toBe("https://elsewhere.example");
  });

  it("answer a sandboxed page's preflight, and nobody else's", async () => {
    const { basePath } = await linked();
    handler = (_request, response) => response.writeHead(405).end();
    const ask = { "access-control-request-method": "PUT", "access-control-request-headers": "x-a" };
    const answer = await raw("OPTIONS", basePath, { ...ask, origin: "null" });
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": "null",
      "access-control-allow-methods": "PUT",
      "access-control-allow-headers": "x-a",
    });
    const stranger = await raw("OPTIONS", basePath, {
      ...ask,
      origin: "https://elsewhere.example",
    });
    expect(stranger.status).toBe(405);
  });

  it("keep the prefix where that is asked for", async () => {
    const { basePath } = await linked({ via: "path", keepPrefix: true });
    handler = (request, response) => {
      response.writeHead(302, { location: request.url, "set-cookie": `a=1; Path=${basePath}` });
      response.end();
    };
    const { headers } = await raw("GET", `${basePath}a?b`);
    expect(headers.location).toBe(`${basePath}a?b`);
    expect(headers["set-cookie"]).toEqual([`cs_${port}_a=1; Path=${basePath}`]);
  });

  it("end, and are good for nothing else", async () => {
    const { basePath } = await linked({ via: "path", expiresInSeconds: 1 });
    handler = (_request, response) => response.end("page");
    expect((await raw("GET", basePath)).body).toBe("page");
    const token = basePath.split("/")[5] ?? "";
    for (const bad of [
      basePath.replace(`-${port}-`, `-${port === 65535 ? 1 : port + 1}-`),
      basePath.replace("Box_1", "another"),
      basePath.replace(token, `z${token}`),
      basePath.replace(token, token.replace("-s-", "-k-")),
      basePath.replace(token, "x"),
    ]) {
      const answer = await raw("GET", bad);
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([403, "forbidden"]);
    }
    await delay(1100);
    const ended = await raw("GET", basePath, { accept: "text/html" });
    expect(ended.status).toBe(403);
    expect(ended.body).toContain("This link has expired");
  });
});

describe("previews on hosts of their own", () => {
  const hostOf = (url: string) => new URL(url).host;

  async function visit() {
    const { url, via } = await linked({});
    expect(via).toBe("host");
    const { host, search } = new URL(url);
    const answer = await raw("GET", `/deep/path${search}&x=1`, { host });
    expect([answer.status, answer.headers.location]).toEqual([303, "/deep/path?x=1"]);
    const elsewhere = await raw("GET", `//evil.example/${search}`, { host });
    expect(elsewhere.headers.location).toBe("/evil.example/");
    const [cookie = ""] = answer.headers["set-cookie"] ?? [];
    expect(cookie).toMatch(
      /^clawdspace_preview=[^;]+; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/,
    );
    return { host, url, cookie: cookie.split(";")[0] ?? "" };
  }

  it("trade a link for a cookie, which the space never sees", async () => {
    const { host, cookie } = await visit();
    expect(host).toMatch(new RegExp(`^${port}--box-1-[0-9a-f]{10}\\.preview\\.test:\\d+$`));
    let seen: IncomingMessage | undefined;
    handler = (request, response) => {
      seen = request;
      response.setHeader("set-cookie", ["sid=1; Domain=preview.test", "clawdspace_preview=x"]);
      response.end("page");
    };
    const headers = { host, cookie: `${cookie}; sid=0`, origin: `http://${host}` };
    const answer = await raw("GET", `/api/health?key=${KEY}`, {
      ...headers,
      authorization: `Bearer ${KEY}`,
    });
    expect(answer.body).toBe("page");
    expect(answer.headers["set-cookie"]).toEqual(["sid=1; Path=/"]);
    expect(answer.headers).not.toHaveProperty("content-security-policy");
    expect(seen?.url).toBe("/api/health");
    expect(seen?.headers).toEqual({
      host: `localhost:${port}`,
      connection: "close",
      cookie: "sid=0",
      origin: `http://localhost:${port}`,
    });
  });

  it("refuse whoever has no link for that port of that space", async () => {
    const { host, cookie, url } = await visit();
    handler = (_request, response) => response.end("page");
    const other = host.replace(`${port}-`, `${port === 65535 ? 1 : port + 1}-`);
    const tries: [string, Record<string, string>][] = [
      ["/", { host }],
      ["/api/health", { host }],
      ["/", { host, authorization: `Bearer ${KEY}` }],
      [`/?key=${KEY}`, { host }],
      ["/", { host: other, cookie }],
      [`/${new URL(url).search}`, { host: other }],
      [
        "/",
        { host, cookie: `clawdspace_preview=${new URL(url).searchParams.get("clawdspace_token")}` },
      ],
      ["/", { host: host.replace("--box-1", "-box-1"), cookie }],
      ["/", { host: `${port}-Box_1.preview.test`, cookie }],
      ["/", { host: "nothing.preview.test", cookie }],
      ["/", { host: `a.${host}`, cookie }],
    ];
    for (const [path, headers] of tries) {
      const answer = await raw("GET", path, headers);
      expect([answer.status, JSON.parse(answer.body).code], path).toEqual([403, "forbidden"]);
    }
    const page = await raw("GET", "/", { host, accept: "text/html" });
    expect(page.status).toBe(403);
    expect(page.body).toContain("This preview opens with a link");
    expect((await raw("GET", "/.preview")).status).toBe(404);
    expect((await raw("GET", "/api/health", { host: "preview.test" })).status).toBe(200);
    expect((await raw("GET", "/", { host: `${host.replace(/:/, ".:")}`, cookie })).body).toBe(
      "page",
    );
  });

  it("keep pages of other spaces out, and let those of the same space in", async () => {
    const { host, cookie } = await visit();
    handler = (_request, response) => response.end("page");
    const sibling = host.replace(`${port}-`, "5173-");
    const ask = async (headers: Record<string, string>) =>
      (await raw("GET", "/", { host, cookie, ...headers })).status;
    expect(await ask({ origin: "http://8000-evil.preview.test" })).toBe(403);
    expect(await ask({ origin: "null" })).toBe(403);
    expect(await ask({ "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" })).toBe(403);
    expect(await ask({ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" })).toBe(200);
    expect(await ask({ origin: `http://${sibling}` })).toBe(200);
    expect(hostOf(`http://${sibling}`)).toBe(sibling);
    const socket = new WebSocket(`ws${base.slice(4)}/`, {
      headers: { host, cookie, origin: "http://8000-evil.preview.test" },
    });
    const [, denied] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
    expect(denied.statusCode).toBe(403);
    denied.resume();
  });

  it("carry WebSockets", async () => {
    const { host, cookie } = await visit();
    const echo = new WebSocketServer({ server });
    echo.on("connection", (socket) => socket.on("message", (data) => socket.send(`${data}!`)));
    const socket = new WebSocket(`ws${base.slice(4)}/hmr`, {
      headers: { host, cookie, origin: `http://${host}` },
    });
    await once(socket, "open");
    socket.send("hot");
    expect((await once(socket, "message"))[0].toString()).toBe("hot!");
    socket.close();
    await once(socket, "close");
  });
});

describe("tunnels", () => {
  const url = (query = "") => `ws${base.slice(4)}/api/spaces/Box_1/ports/${port}/tcp${query}`;

  it("carry bytes both ways, and the client's end of them", async () => {
    const lines = createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.on("data", (data) => socket.write(data.toString().toUpperCase()));
      socket.on("end", () => socket.end("bye"));
    });
    port = await listen(lines);
    const socket = new WebSocket(url(), { headers: auth });
    await once(socket, "open");
    socket.send(Buffer.from("hello"));
    expect((await once(socket, "message"))[0].toString()).toBe("HELLO");
    expect(uses).toBe(1);
    socket.send(JSON.stringify({ type: "end" }));
    expect((await once(socket, "message"))[0].toString()).toBe("bye");
    expect((await once(socket, "close"))[0]).toBe(1000);
  });

  it("tell the server's end, where the client takes half-closed ones", async () => {
    let got = "";
    const half = createTcpServer({ allowHalfOpen: true }, (socket) => {
      socket.end("first");
      socket.on("data", (data) => (got += data));
    });
    port = await listen(half);
    const socket = new WebSocket(url("?halfClose=true"), { headers: auth });
    const messages: string[] = [];
    socket.on("message", (data) => messages.push(data.toString()));
    await until(() => messages.length === 2);
    expect(messages).toEqual(["first", '{"type":"end"}']);
    socket.send(Buffer.from("still here"));
    socket.send(JSON.stringify({ type: "end" }));
    expect((await once(socket, "close"))[0]).toBe(1000);
    expect(got).toBe("still here");
  });

  it("deliver what was sent before the client closed", async () => {
    let got = 0;
    port = await listen(
      createTcpServer((socket) => socket.on("data", (data) => (got += data.length))),
    );
    const socket = new WebSocket(url(), { headers: auth });
    await once(socket, "open");
    for (let i = 0; i < 20; i++) socket.send(Buffer.alloc(500_000));
    socket.close(1000);
    await until(() => got === 10_000_000);
  });

  it("go at the pace of the slower side", async () => {
    let sent = 0;
    port = await listen(
      createTcpServer((socket) => {
        const more = () => {
          while (sent < 64 * 1024 ** 2) {
            sent += 65536;
            if (!socket.write(Buffer.alloc(65536))) return void socket.once("drain", more);
          }
          socket.end();
        };
        more();
        socket.on("error", () => {});
      }),
    );
    const socket = new WebSocket(url(), { headers: auth });
    await once(socket, "open");
    socket.pause();
    await delay(300);
    expect(sent).toBeLessThan(32 * 1024 ** 2);
    let got = 0;
    socket.on("message", (data: Buffer) => (got += data.length));
    socket.resume();
    await once(socket, "close");
    expect(got).toBe(64 * 1024 ** 2);
  });

  it("refuse other text, say what failed, and need a key", async () => {
    port = await listen(createTcpServer((socket) => socket.on("error", () => {})));
    const socket = new WebSocket(url(), { headers: auth });
    await once(socket, "open");
    socket.send("hello");
    expect((await once(socket, "close"))[0]).toBe(1003);
    port = await listen(
      createTcpServer((accepted) => setTimeout(() => accepted.resetAndDestroy(), 50)),
    );
    const reset = new WebSocket(url(), { headers: auth });
    expect((await once(reset, "close"))[0]).toBe(1011);
    ({ port } = await closed());
    const refused = new WebSocket(url(), { headers: auth });
    const [, answer] = (await once(refused, "unexpected-response")) as [unknown, IncomingMessage];
    expect(answer.statusCode).toBe(409);
    answer.resume();
    const stranger = new WebSocket(url());
    const [, denied] = (await once(stranger, "unexpected-response")) as [unknown, IncomingMessage];
    expect(denied.statusCode).toBe(401);
    denied.resume();
  });
});

/** A port at which nothing listens. */
async function closed(): Promise<{ port: number }> {
  const nobody = createTcpServer();
  const free = await listen(nobody);
  nobody.close();
  await once(nobody, "close");
  return { port: free };
}
