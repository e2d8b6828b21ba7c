import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon();
});
afterAll(() => daemon.stop());

/** Sends bytes as they are and reads until the server closes. */
async function raw(request: string): Promise<string> {
  const { hostname, port } = new URL(daemon.url);
  const socket = connect(Number(port), hostname);
  socket.end(request);
  return await text(socket);
}

describe("auth", () => {
  const withKey = (key: string | undefined) =>
    fetch(`${daemon.url}/api/spaces`, key === undefined ? {} : { headers: { authorization: key } });

  test("a bearer key or ?key= lets a request pass", async () => {
    expect((await withKey(`Bearer ${daemon.key}`)).status).toBe(200);
    expect((await withKey(`bearer ${daemon.key}`)).status).toBe(200);
    expect((await fetch(`${daemon.url}/api/spaces?key=${daemon.key}`)).status).toBe(200);
    const create = await fetch(`${daemon.url}/api/spaces?key=${daemon.key}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "no spaces" }),
    });
    expect(create.status).toBe(400);
  });

  test.each([
    ["nothing", undefined],
    ["an empty header", ""],
    ["a bearer without a key", "Bearer "],
    ["a wrong key", "Bearer wrong"],
    ["basic authentication", `Basic ${Buffer.from("a:b").toString("base64")}`],
    ["another scheme", "Token abc"],
  ])("%s is 401 and Unauthorized", async (_what, key) => {
    const answer = await withKey(key);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toEqual({ error: "Unauthorized", code: "unauthorized" });
  });

  test("a key that is almost right is as wrong as any", async () => {
    for (const key of [`${daemon.key}x`, daemon.key.slice(0, -1), daemon.key.toUpperCase()]) {
      expect((await withKey(`Bearer ${key}`)).status, key).toBe(401);
    }
    expect((await fetch(`${daemon.url}/api/spaces?key=`)).status).toBe(401);
    expect((await fetch(`${daemon.url}/api/spaces?key=a&key=b`)).status).toBe(401);
    expect((await fetch(`${daemon.url}/api/spaces?KEY=${daemon.key}`)).status).toBe(401);
  });

  test("every path of the contract needs it but health", async () => {
    for (const [method, path] of [
      ["GET", "/api/system"],
      ["GET", "/api/system/capabilities"],
      ["GET", "/api/doctor"],
      ["GET", "/api/spaces"],
      ["POST", "/api/spaces"],
      ["GET", "/api/spaces/x"],
      ["DELETE", "/api/spaces/x"],
      ["POST", "/api/spaces/x/start"],
      ["POST", "/api/spaces/x/stop"],
      ["POST", "/api/spaces/x/exec"],
      ["GET", "/api/spaces/x/stats"],
      ["GET", "/api/spaces/x/observability"],
      ["POST", "/api/spaces/x/git/push"],
      ["GET", "/api/templates"],
    ]) {
      const answer = await fetch(`${daemon.url}${path}`, { method: method ?? "" });
      expect(answer.status, `${method} ${path}`).toBe(401);
    }
    expect((await fetch(`${daemon.url}/api/health`)).status).toBe(200);
  });
});

describe("health and system", () => {
  test("health says ok and the version", async () => {
    const { status, body } = await ask(daemon, "GET", "/api/health");
    expect(status).toBe(200);
    const version = expect.stringMatching(/^\d+\.\d+\.\d+/);
    expect(body).toEqual({ status: "ok", version, engine: "ok" });
  });

  test("system tells of the node", async () => {
    const { status, body } = await ask(daemon, "GET", "/api/system");
    expect(status).toBe(200);
    const amount = expect.stringMatching(/^\d+\.\d GB$/);
    const percentage = expect.stringMatching(/^\d+\.\d%$/);
    expect(body).toMatchObject({
      hostname: expect.any(String),
      platform: "linux",
      arch: process.arch,
      cpus: expect.any(Number),
      loadAverage: [expect.any(Number), expect.any(Number), expect.any(Number)],
      memory: { total: amount, free: amount, used: amount, percentage },
      disk: { total: amount, used: amount, available: amount, percentage },
      uptime: expect.stringMatching(/^\d+d \d+h \d+m$/),
      docker: {
        version: expect.any(String),
        containers: expect.any(Number),
        containersRunning: expect.any(Number),
        containersPaused: expect.any(Number),
        images: expect.any(Number),
      },
      capabilities: { gpu: expect.any(Boolean), arch: process.arch, platform: "linux" },
    });
    expect(body.docker.version).toBe((await docker.version()).Version);
  });

  test("the doctor finds nothing to mend here, and looks at the rules once a space has a network", async () => {
    const look = async () => (await ask(daemon, "GET", "/api/doctor")).body;
    const { checks, checkedAt } = await look();
    const byName = new Map(checks.map((check: { name: string }) => [check.name, check]));
    expect(byName.get("Docker Engine")).toEqual({
      name: "Docker Engine",
      status: "ok",
      detail: (await docker.version()).Version,
    });
    expect(byName.get("Node.js")).toMatchObject({ status: "ok", detail: process.versions.node });
    for (const name of ["Authentication", "Sandbox image", "Disk"]) {
      expect(byName.get(name)).toMatchObject({ status: "ok" });
    }
    expect(Math.abs(Date.parse(checkedAt) - Date.now())).toBeLessThan(30_000);
    await daemon.space("netted");
    expect((await look()).checks).toContainEqual({
      name: "Firewall",
      status: "ok",
      detail: expect.stringMatching(/^rules by iptables.* seen in force \d+ s ago$/),
    });
    await ask(daemon, "DELETE", "/api/spaces/netted?removeVolume=true");
  });

  test("capabilities tell what fits", async () => {
    const { status, body } = await ask(daemon, "GET", "/api/system/capabilities");
    expect(status).toBe(200);
    expect(body).toMatchObject({ gpu: expect.any(Boolean), arch: process.arch, platform: "linux" });
    const info = await docker.info();
    expect(body.cpus).toBe(info.NCPU);
    expect(body.memory).toBe(info.MemTotal);
  });
});

describe("the API's description", () => {
  test("is valid OpenAPI 3.1 and names every path of the contract", async () => {
    const { body } = await ask(daemon, "GET", "/api/openapi.json");
    const validator = new Validator();
    const result = await validator.validate(structuredClone(body));
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    expect(validator.version).toBe("3.1");
    expect(Object.keys(body.paths)).toEqual(
      expect.arrayContaining([
        "/api/health",
        "/api/system",
        "/api/system/capabilities",
        "/api/doctor",
        "/api/spaces",
        "/api/spaces/{name}",
        "/api/spaces/{name}/start",
        "/api/spaces/{name}/stop",
        "/api/spaces/{name}/exec",
        "/api/spaces/{name}/stats",
        "/api/spaces/{name}/observability",
        "/api/spaces/{name}/git/push",
      ]),
    );
  });

  test("can be browsed, with everything that the page loads", async () => {
    const page = await fetch(`${daemon.url}/api/docs/`);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toMatch(/^text\/html/);
    const html = await page.text();
    const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url ?? "");
    expect(loaded.some((url) => url.endsWith(".js"))).toBe(true);
    for (const url of loaded) {
      const asset = await fetch(new URL(url, page.url));
      expect(asset.status, url).toBe(200);
      await asset.arrayBuffer();
    }
  });
});

describe("what is no request of the API", () => {
  test.each([
    ["GET", "/api/nothing"],
    ["GET", "/api"],
    ["PATCH", "/api/spaces/x"],
    ["PUT", "/api/spaces"],
    ["GET", "/api/spaces/x/nothing"],
    ["POST", "/api/health"],
    ["DELETE", "/api/spaces"],
  ])("%s %s is 404", async (method, path) => {
    expectError(await ask(daemon, method, path), "not_found");
  });

  test("a path that can't be decoded is 400", async () => {
    for (const path of ["/api/spaces/%zz", "/api/spaces/%", "/api/spaces/%c3%28"]) {
      const answer = await raw(
        `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${daemon.key}\r\nconnection: close\r\n\r\n`,
      );
      expect(answer, path).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toMatch(/content-type: application\/json/i);
      expect(answer).toMatch(/"code":"invalid_request"/);
    }
  });

  test("bytes that are no HTTP are answered in the contract's shape", async () => {
    for (const bytes of ["NONSENSE\r\n\r\n", "GET /\0 HTTP/1.1\r\n\r\n"]) {
      const answer = await raw(bytes);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      const body = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
      expect(body).toMatchObject({ code: "invalid_request", error: expect.any(String) });
    }
    const huge = await raw(`GET / HTTP/1.1\r\nx: ${"y".repeat(40_000)}\r\n\r\n`);
    expect(huge).toMatch(/^HTTP\/1\.1 431 /);
    expect(JSON.parse(huge.slice(huge.indexOf("\r\n\r\n") + 4)).error).toEqual(expect.any(String));
  });

  test("every answer has a request id, and the log has it too", async () => {
    const answer = await ask(daemon, "GET", "/api/nothing");
    const id = answer.headers.get("x-request-id");
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    await expect.poll(() => daemon.log).toContain(id);
  });

  test("the key is in no line of the log", async () => {
    await fetch(`${daemon.url}/api/spaces?key=${daemon.key}`);
    await expect.poll(() => daemon.log).toContain('"path":"/api/spaces"');
    expect(daemon.log).not.toContain(daemon.key);
  });
});

describe("bodies", () => {
  const json = { "content-type": "application/json" };
  const post = (body: string | Uint8Array, headers: Record<string, string>) =>
    ask(daemon, "POST", "/api/spaces", body, { headers });

  test.each([
    ["no JSON", "{bad"],
    ["half of it", '{"name":'],
    ["an array", "[]"],
    ["null", "null"],
    ["a number", "7"],
    ["a string", '"dev"'],
    ["nothing", ""],
    ["white space", "   "],
    ["bytes that are no text", Buffer.from([0xff, 0xfe, 0x00])],
    ["a prototype", '{"name":"x","__proto__":{"gpu":true}}'],
  ])("%s is 400", async (_what, body) => {
    expectError(await post(body, json), "invalid_request");
  });

  test("another content type is 415", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/xml"]) {
      const answer = await post('{"name":"x"}', { "content-type": type });
      expectError(answer, "unsupported_media_type");
    }
  });

  test("what is too large is 413, announced or not", async () => {
    const large = Buffer.alloc(33 * 1024 ** 2, " ");
    expectError(await post(large, json), "too_large");
    const pieces = (function* () {
      for (let at = 0; at < 33; at++) yield Buffer.alloc(1024 ** 2, " ");
    })();
    const init = { headers: json, body: ReadableStream.from(pieces), duplex: "half" as const };
    expectError(await ask(daemon, "POST", "/api/spaces", undefined, init), "too_large");
  });
});
