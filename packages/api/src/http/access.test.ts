import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Role, RoleSchema } from "@clawdspace/protocol";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildApp } from "../app.js";
import { readConfig } from "../config.js";
import { DockerEngine } from "../engine/docker-engine.js";
import { createServices, type Services } from "../services.js";
import { ACCESS } from "./access.js";

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
