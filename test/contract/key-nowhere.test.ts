import { execFile } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import WebSocket from "ws";
import { Daemon, docker } from "../support/daemon.js";

const exec = promisify(execFile);

// A daemon that makes its key itself, and tells all that it can of what it does.
let daemon: Daemon;
let key: string;
let other: string;
const answers: string[] = [];

async function ask(method: string, path: string, init: RequestInit = {}): Promise<string> {
  const answer = await fetch(`${daemon.url}${path}`, { method, ...init });
  const text = await answer.text();
  answers.push(`${[...answer.headers].join("\n")}\n${text}`);
  return text;
}

const withKey = (secret: string, body?: unknown): RequestInit => ({
  headers: {
    authorization: `Bearer ${secret}`,
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  },
  ...(body === undefined ? {} : { body: JSON.stringify(body) }),
});

beforeAll(async () => {
  daemon = await Daemon.start({ API_KEY: "", LOG_LEVEL: "trace" });
  key = (await readFile(join(daemon.folder, "config/api-key"), "utf8")).trim();
  expect(key).toMatch(/^clawdspace_sk_live_[0-9a-f]{32}$/);
  const made = await ask("POST", "/api/keys", withKey(key, { name: "second", role: "admin" }));
  other = JSON.parse(made).secret;
  // The one answer that shows it.
  answers.pop();
});

afterAll(() => daemon?.stop());

it("is shown once, when it is made, and is nowhere else but in its file", async () => {
  for (const secret of [key, other]) {
    const name = secret === key ? "one" : "two";
    const space = { name, memory: "256m", env: { TOKEN: "x" } };
    expect(await ask("POST", "/api/spaces", withKey(secret, space))).toContain(`"${name}"`);
    const command = "cat /proc/*/environ /proc/*/cmdline 2>/dev/null; env; ps auxww";
    const ran = await ask(
      "POST",
      `/api/spaces/${name}/exec?key=${secret}`,
      withKey(secret, { command }),
    );
    expect(ran).toContain("PATH=");
    // Good requests and bad ones, with the key wherever a client may put it, and where it should not.
    for (const path of [
      `/api/spaces/${name}?key=${secret}`,
      `/api/spaces/none?key=${secret}`,
      `/api/spaces/none/file?path=/x&key=${secret}`,
      `/api/nothing?key=${secret}`,
      `/api/audit?limit=none&key=${secret}`,
      `/api/spaces/${name}/proxy/1/x?key=${secret}`,
      `/api/spaces/${name}/file?path=/missing&key=${secret}`,
    ]) {
      await ask("GET", path);
    }
    await ask("POST", "/api/spaces", withKey(secret, "no object"));
    await ask("POST", "/api/session", withKey(secret, { key: secret }));
    await ask("POST", "/api/session", withKey(secret, { key: `${secret}x` }));
    await ask("GET", "/api/spaces", { headers: { authorization: `Basic ${secret}` } });
    const socket = new WebSocket(
      `${daemon.url.replace("http", "ws")}/api/spaces/${name}/terminal?key=${secret}`,
    );
    await new Promise((done, failed) => socket.once("message", done).once("error", failed));
    socket.close();
  }
  await ask("GET", "/api/audit?limit=1000", withKey(key));
  await ask("GET", "/api/events", { ...withKey(key), signal: AbortSignal.timeout(200) }).catch(
    () => {},
  );
  await daemon.kill("SIGTERM");
  await daemon.run();
  const again = await fetch(`${daemon.url}/api/keys`, withKey(key));
  const { keys } = (await again.json()) as { keys: { name: string; lastUsedAt?: string }[] };
  expect(keys[0]).toMatchObject({ name: "second", lastUsedAt: expect.any(String) });

  const shown = daemon.log.split(key);
  expect(shown).toHaveLength(2);
  expect(shown[0]).toMatch(/Your API key, kept in \S+:\s+$/);
  const places: [string, string][] = [
    ["the log", shown.join("")],
    ["answers", answers.join("\n")],
    ["processes", (await exec("ps", ["-eww", "-o", "args"])).stdout],
    ...(await files(daemon.folder)),
    ...(await containers()),
  ];
  expect(places.length).toBeGreaterThan(8);
  const found = places.filter(([, text]) => text.includes(key) || text.includes(other));
  expect(found.map(([place]) => place)).toEqual([join(daemon.folder, "config/api-key")]);
  expect((await stat(join(daemon.folder, "config/api-key"))).mode & 0o777).toBe(0o600);
});

/** All files that the daemon keeps. */
async function files(folder: string): Promise<[string, string][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name));
  return await Promise.all(
    paths.map(async (path): Promise<[string, string]> => [path, await readFile(path, "latin1")]),
  );
}

/** What the engine tells of the spaces and of their execs. */
async function containers(): Promise<[string, string][]> {
  const filters = { label: [`clawdspace.namespace=${daemon.namespace}`] };
  const found = await docker.listContainers({ all: true, filters });
  return await Promise.all(
    found.map(async ({ Id, Names }): Promise<[string, string]> => {
      const info = await docker.getContainer(Id).inspect();
      return [`container ${Names[0]}`, JSON.stringify(info)];
    }),
  );
}
