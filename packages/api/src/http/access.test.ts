import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Role, RoleSchema } from "@clawdspace/protocol";
import fastify, { type FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildApp } from "../app.js";
import { readConfig } from "../config.js";
import { DockerEngine } from "../engine/docker-engine.js";
import { createServices, type Services } from "../services.js";
import { ACCESS } from "./access.js";
import { type Authenticator, guard } from "./auth.js";
import { listen } from "./listen.js";

const OWNER_KEY = "owner-key";
let folder: string;
let services: Services;
let app: FastifyInstance;
const secrets: Partial<Record<Role, string>> = {};
let limited: string;

// No engine is there: what passes the guard ends in another error than 401 and 403, which is all that is asked here.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "access-"));
  const config = readConfig({ CLAWDSPACE_DATA_DIR: folder, CLAWDSPACE_CONFIG_DIR: folder });
  const logger = pino({ level: "silent" });
  services = createServices(config, new DockerEngine(join(folder, "no.sock")), logger, OWNER_KEY);
  await services.recorder.open();
  app = await buildApp(services, { authDisabled: false, logger });
  for (const role of RoleSchema.options) {
    secrets[role] = (await services.keys.create({ name: role, role })).secret;
  }
  limited = (await services.keys.create({ name: "bot", role: "agent", spaces: ["bot-*"] })).secret;
});
afterAll(async () => {
  await app.close();
  await services.recorder.close();
  await rm(folder, { recursive: true });
});

const RANK: Role[] = ["viewer", "agent", "admin"];
const routes = Object.entries(ACCESS).map(([route, needed]) => {
  const [method = "", path = ""] = route.split(" ");
  return { route, needed, method: method === "ANY" ? "POST" : method, path };
});
const urlOf = (path: string, space = "dev") =>
  path
    .replace(":name", space)
    .replace("*", "x")
    .replaceAll(/:(id|port)/g, "1")
    .replaceAll(/:\w+/g, "x");

async function ask(method: string, url: string, headers: Record<string, string>): Promise<number> {
  // Some answers never end.
  const options = { method: method as "GET", url, headers, payloadAsStream: true } as const;
  const answer = await app.inject(options);
  answer.stream().destroy();
  return answer.statusCode;
}

describe("every route, for everybody", () => {
  it.each(routes)("$route needs a key", async ({ method, path }) => {
    expect(await ask(method, urlOf(path), {})).toBe(401);
    expect(await ask(method, urlOf(path), { authorization: "Bearer wrong" })).toBeOneOf([401, 429]);
  });

  it.each(routes.flatMap((each) => RANK.map((role) => ({ ...each, role }))))(
    "$route as $role",
    async ({ method, path, needed, role }) => {
      const status = await ask(method, urlOf(path), { authorization: `Bearer ${secrets[role]}` });
      if (RANK.indexOf(role) < RANK.indexOf(needed)) expect(status).toBe(403);
      else expect(status).not.toBeOneOf([401, 403]);
    },
  );

  it.each(routes.filter(({ path }) => path.startsWith("/api/spaces/:name")))(
    "$route with a key for other spaces",
    async ({ method, path }) => {
      expect(await ask(method, urlOf(path, "dev"), { authorization: `Bearer ${limited}` })).toBe(
        403,
      );
      const own = await ask(method, urlOf(path, "bot-1"), { authorization: `Bearer ${limited}` });
      expect(own).not.toBeOneOf([401, 403]);
    },
  );
});

it("keeps a limited key from making other spaces", async () => {
  const answer = await app.inject({
    method: "POST",
    url: "/api/spaces",
    headers: { authorization: `Bearer ${limited}` },
    payload: { name: "dev" },
  });
  expect(answer.statusCode).toBe(403);
});

it("lets a cookie change things only from our own pages", async () => {
  const signedIn = await app.inject({
    method: "POST",
    url: "/api/session",
    payload: { key: OWNER_KEY },
  });
  const [cookie] = signedIn.cookies;
  expect(cookie).toMatchObject({ name: "clawdspace_session", httpOnly: true, sameSite: "Strict" });
  const headers = { cookie: `clawdspace_session=${cookie?.value}`, host: "localhost:7777" };
  expect(await ask("GET", "/api/keys", headers)).toBe(200);
  expect(await ask("DELETE", "/api/keys/x", headers)).toBe(403);
  expect(await ask("DELETE", "/api/keys/x", { ...headers, origin: "http://evil.example" })).toBe(
    403,
  );
  expect(await ask("DELETE", "/api/keys/x", { ...headers, origin: "http://localhost:7777" })).toBe(
    404,
  );
});

it("opens WebSockets with a cookie from our own pages only", async () => {
  const signedIn = await app.inject({
    method: "POST",
    url: "/api/session",
    payload: { key: OWNER_KEY },
  });
  const upgrade = {
    cookie: `clawdspace_session=${signedIn.cookies[0]?.value}`,
    host: "localhost:7777",
    upgrade: "websocket",
    connection: "Upgrade",
  };
  const url = "/api/spaces/dev/terminal";
  expect(await ask("GET", url, { ...upgrade, origin: "http://evil.example" })).toBe(403);
  expect(await ask("GET", url, upgrade)).toBe(403);
  expect(await ask("GET", url, { ...upgrade, origin: "http://localhost:7777" })).not.toBe(403);
});

it("lets no other site's page in where authentication is off", async () => {
  const open = await buildApp(services, { authDisabled: true, logger: pino({ level: "silent" }) });
  const status = async (headers: Record<string, string>, url = "/api/keys/x") => {
    const method = url === "/api/keys/x" ? "DELETE" : "GET";
    return (await open.inject({ method, url, headers })).statusCode;
  };
  expect(await status({ host: "127.0.0.1:7777" })).toBe(404);
  expect(await status({ host: "localhost:7777", origin: "http://localhost:7777" })).toBe(404);
  expect(await status({ host: `${hostname()}:7777` })).toBe(404);
  expect(await status({ host: "[::1]:7777", origin: "http://[::1]:7777" })).toBe(404);
  expect(await status({ host: "localhost:7777", origin: "http://evil.example" })).toBe(403);
  // A name of theirs that leads to this machine.
  const rebound = { host: "evil.example:7777", origin: "http://evil.example:7777" };
  expect(await status(rebound)).toBe(403);
  expect(await status(rebound, "/api/keys")).toBe(403);
  const upgrade = { upgrade: "websocket", connection: "Upgrade", host: "127.0.0.1:7777" };
  const socket = { ...upgrade, origin: "http://evil.example" };
  expect(await status(socket, "/api/spaces/dev/terminal")).toBe(403);
  await open.close();
});

it("breaks off what a revoked key has open, and ends its sessions", async () => {
  const served = await buildApp(services, {
    authDisabled: false,
    logger: pino({ level: "silent" }),
  });
  const address = await listen(served, 0, ["127.0.0.1"]);
  const { key, secret } = await services.keys.create({ name: "brief", role: "viewer" });
  const session = async (headers: Record<string, string>) =>
    (await served.inject({ url: "/api/session", headers })).statusCode;
  const payload = { key: secret };
  const signedIn = await served.inject({ method: "POST", url: "/api/session", payload });
  const cookie = `clawdspace_session=${signedIn.cookies[0]?.value}`;
  expect(await session({ cookie })).toBe(200);
  const follow = async (token: string) => {
    const answer = await fetch(`${address}/api/events`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const reader = answer.body?.getReader();
    expect((await reader?.read())?.done).toBe(false);
    return reader;
  };
  const [theirs, others] = await Promise.all([follow(secret), follow(secrets.viewer ?? "")]);
  const revoked = await fetch(`${address}/api/keys/${key.id}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${OWNER_KEY}` },
  });
  expect(revoked.status).toBe(200);
  await expect(theirs?.read()).rejects.toThrow();
  expect(await session({ cookie })).toBe(401);
  expect(await session({ authorization: `Bearer ${secret}` })).toBeOneOf([401, 429]);
  // Others' streams go on, and whoever revokes the key that they use themselves is told so.
  expect(await Promise.race([others?.read(), delay(50, "open")])).toBe("open");
  await others?.cancel();
  const admin = await services.keys.create({ name: "resigns", role: "admin" });
  const resigned = await fetch(`${address}/api/keys/resigns`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${admin.secret}` },
  });
  expect(resigned.status).toBe(200);
  await served.close();
});

describe("the table of roles", () => {
  /** Routes without a guard, each with another way to know who asks, or nothing to protect. */
  const OPEN = [
    "GET /api/health",
    "POST /api/session",
    "GET /api/session",
    "DELETE /api/session",
    "ANY /api/spaces/:name/preview/:token",
    "ANY /api/spaces/:name/preview/:token/*",
  ];

  it("has an entry for each route that the API's description has, or it is known to be open", () => {
    const { paths = {} } = (app as unknown as { swagger(): { paths?: object } }).swagger();
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({
        method: method.toUpperCase(),
        path: path.replace(/\{([^}]+)\}/g, (_, name) => (name === "*" ? "*" : `:${name}`)),
      })),
    );
    expect(described.length).toBeGreaterThan(60);
    const known = (method: string, path: string) =>
      [`${method} ${path}`, `ANY ${path}`].some((each) => each in ACCESS || OPEN.includes(each));
    const unknown = described.filter(({ method, path }) => !known(method, path));
    expect(unknown).toEqual([]);
  });

  it("has no entry without a route", () => {
    const stale = routes.filter(({ method, path }) => {
      const there = (url: string) => app.hasRoute({ method: method as "GET", url });
      return !there(path) && !there(`${path}/`);
    });
    expect(stale.map(({ route }) => route)).toEqual([]);
  });

  it("stops the daemon from starting where a route is missing", async () => {
    await expect(
      fastify().register(async (scope) => {
        guard(scope, {} as Authenticator);
        scope.get("/api/new", () => "");
      }),
    ).rejects.toThrow("GET /api/new has no entry");
  });
});

it("gives pages and answers the headers that browsers heed", async () => {
  const { headers } = await app.inject("/api/health");
  const csp = `${headers["content-security-policy"]}`;
  expect(csp).toContain("default-src 'self'");
  expect(csp).toContain("frame-ancestors 'none'");
  expect(csp).not.toMatch(/unsafe|\*/);
  expect(headers).toMatchObject({
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  });
});

it("makes an address wait that tries too many wrong keys, and nobody with a right one", async () => {
  const tries = [];
  for (let i = 0; i < 30; i++) {
    tries.push(await app.inject({ url: "/api/keys?key=guess", remoteAddress: "203.0.113.9" }));
  }
  const last = tries.at(-1);
  expect(last?.statusCode).toBe(429);
  expect(Number(last?.headers["retry-after"])).toBeGreaterThan(0);
  const right = await app.inject({
    url: `/api/keys?key=${OWNER_KEY}`,
    remoteAddress: "203.0.113.9",
  });
  expect(right.statusCode).toBe(200);
});
