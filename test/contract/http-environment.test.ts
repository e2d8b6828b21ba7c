import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";

const ENTRY = resolve(import.meta.dirname, "../../packages/api/dist/index.js");

const daemons: Daemon[] = [];
async function start(env: Record<string, string>): Promise<Daemon> {
  const daemon = await startDaemon(env);
  daemons.push(daemon);
  return daemon;
}
afterEach(async () => {
  for (const daemon of daemons.splice(0)) await daemon.stop();
});

const status = async (daemon: Daemon, space: string) =>
  (await ask(daemon, "GET", `/api/spaces/${space}`)).body.space.status;

test("CLAWDSPACE_AUTH_DISABLED lets everybody at the loopback in", async () => {
  const daemon = await start({ CLAWDSPACE_AUTH_DISABLED: "true" });
  expect((await fetch(`${daemon.url}/api/spaces`)).status).toBe(200);
  const wrong = { headers: { authorization: "Bearer wrong" } };
  expect((await fetch(`${daemon.url}/api/spaces`, wrong)).status).toBe(200);
  await expect.poll(() => daemon.log).toMatch(/authentication is off/);
});

test("without API_KEY a key is made once, kept for its owner alone, and shown once", async () => {
  const daemon = await start({ API_KEY: "" });
  const file = join(daemon.folder, "config", "api-key");
  const key = (await readFile(file, "utf8")).trim();
  expect(key).toMatch(/^clawdspace_sk_live_[0-9a-f]{32}$/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const headers = { authorization: `Bearer ${key}` };
  expect((await fetch(`${daemon.url}/api/spaces`, { headers })).status).toBe(200);
  expect((await fetch(`${daemon.url}/api/spaces`)).status).toBe(401);
  await expect.poll(() => daemon.log).toContain(key);
  await daemon.restart("SIGTERM");
  expect((await fetch(`${daemon.url}/api/spaces`, { headers })).status).toBe(200);
  expect(daemon.log.split(key)).toHaveLength(2);
});

test("IDLE_TIMEOUT_MS pauses what nobody uses, and spares what is used", async () => {
  const daemon = await start({ IDLE_TIMEOUT_MS: "1200" });
  await daemon.space("idle");
  await daemon.space("used");
  const used = ask(daemon, "POST", "/api/spaces/used/exec", { command: "sleep 6; echo done" });
  await expect.poll(() => status(daemon, "idle"), { timeout: 10_000 }).toBe("paused");
  expect(await status(daemon, "used")).toBe("running");
  expect((await used).body).toMatchObject({ stdout: "done" });
  await expect.poll(() => status(daemon, "used"), { timeout: 10_000 }).toBe("paused");
  const { body } = await ask(daemon, "POST", "/api/spaces/idle/exec", { command: "echo woke" });
  expect(body).toMatchObject({ stdout: "woke" });
});

test("IDLE_TIMEOUT_MS=0 never pauses", async () => {
  const daemon = await start({ IDLE_TIMEOUT_MS: "0" });
  await daemon.space("awake");
  await delay(2000);
  expect(await status(daemon, "awake")).toBe("running");
});

test("CLAWDSPACE_IMAGE is what spaces are made from, and a missing one is said", async () => {
  const missing = await start({ CLAWDSPACE_IMAGE: "no-such-sandbox:1" });
  const answer = await ask(missing, "POST", "/api/spaces", { name: "x", wait: false });
  expectError(answer, "image_unavailable");
  expect(answer.body.error).toContain("no-such-sandbox:1");
  const tag = randomBytes(4).toString("hex");
  await docker.getImage("clawdspace:latest").tag({ repo: "cs-test-image", tag });
  try {
    const daemon = await start({ CLAWDSPACE_IMAGE: `cs-test-image:${tag}` });
    await daemon.space("tagged");
    const { body } = await ask(daemon, "GET", "/api/spaces/tagged");
    expect(body.space.image).toBe(`cs-test-image:${tag}`);
    await ask(daemon, "DELETE", "/api/spaces/tagged?removeVolume=1");
  } finally {
    await docker.getImage(`cs-test-image:${tag}`).remove();
  }
});

test("CLAWDSPACE_TEMPLATES_DIR holds the templates, shipped ones first", async () => {
  const daemon = await start({});
  const folder = join(daemon.folder, "data", "templates");
  expect((await readdir(folder)).sort()).toEqual(
    expect.arrayContaining(["default.yaml", "gpu.yaml", "lan.yaml", "offline.yaml"]),
  );
  const elsewhere = join(daemon.folder, "elsewhere");
  const other = await start({ CLAWDSPACE_TEMPLATES_DIR: elsewhere });
  expect(await readdir(elsewhere)).toContain("default.yaml");
  await writeFile(join(elsewhere, "tiny.yaml"), "name: tiny\nresources:\n  memory: 64m\n");
  const { body } = await ask(other, "POST", "/api/spaces", { name: "tiny", template: "tiny" });
  expect(body.space).toMatchObject({ memory: 64 * 1024 ** 2, template: "tiny" });
});

test.each([
  ["PORT", "many"],
  ["DOCKER_HOST", "ftp://x"],
])("%s=%s ends the start with a message that names it", async (name, value) => {
  const env = { PATH: process.env.PATH ?? "", API_KEY: "x", PORT: "0", [name]: value };
  const failed = await promisify(execFile)(process.execPath, [ENTRY], {
    env,
    timeout: 20_000,
  }).then(
    () => undefined,
    (error: { code: number; stderr: string; stdout: string }) => error,
  );
  expect(failed?.code).toBe(1);
  const said = `${failed?.stdout}${failed?.stderr}`;
  expect(said).toContain(name);
  expect(said).not.toMatch(/\n\s+at .*node:internal/);
});

test("a port that is taken is said in a sentence", async () => {
  const daemon = await start({});
  const { port } = new URL(daemon.url);
  const env = {
    PATH: process.env.PATH ?? "",
    API_KEY: "x",
    PORT: port,
    CLAWDSPACE_NAMESPACE: `cs-test-${randomBytes(4).toString("hex")}`,
    CLAWDSPACE_DATA_DIR: join(daemon.folder, "second"),
    CLAWDSPACE_CONFIG_DIR: join(daemon.folder, "second"),
  };
  const failed = await promisify(execFile)(process.execPath, [ENTRY], {
    env,
    timeout: 30_000,
  }).then(
    () => undefined,
    (error: { code: number; stderr: string; stdout: string }) => error,
  );
  expect(failed?.code).toBe(1);
  expect(`${failed?.stdout}${failed?.stderr}`).toContain(port);
});
