import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { DockerEngine } from "../packages/api/dist/engine/docker-engine.js";
import { uninstallNetwork } from "../packages/api/dist/network/uninstall.js";

const socket = (process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock").replace("unix://", "");
export const docker = new Docker({ socketPath: socket });

/** That many commands, and V8 has compiled what they take. */
const WARM_UP = 2500;

/** Starts a daemon of the bench's own; `stop` removes all that it made. Nothing waits unless `environment` says so. */
export async function startDaemon(environment = {}) {
  const namespace = `cs-bench-${randomBytes(3).toString("hex")}`;
  const folder = mkdtempSync(join(tmpdir(), "clawdspace-bench-"));
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const key = "bench";
  const child = spawn(process.execPath, ["packages/api/dist/index.js"], {
    stdio: "ignore",
    env: {
      ...process.env,
      PORT: `${port}`,
      API_KEY: key,
      CLAWDSPACE_NAMESPACE: namespace,
      CLAWDSPACE_DATA_DIR: join(folder, "data"),
      CLAWDSPACE_CONFIG_DIR: join(folder, "config"),
      LOG_LEVEL: "warn",
      CLAWDSPACE_POOL: "0",
      ...environment,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 200 && !(await fetch(`${url}/api/health`).catch(() => undefined))?.ok; i++) {
    await delay(50);
  }
  // Not fetch: its own milliseconds would be measured with the daemon's.
  const agent = new Agent({ keepAlive: true, maxSockets: 512 });
  const api = async (method, path, body) => {
    const data = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${key}`,
      ...(data === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(data) }),
    };
    const sent = request(`${url}/api${path}`, { method, agent, headers });
    sent.end(data);
    const [answer] = await once(sent, "response");
    const said = await text(answer);
    if (answer.statusCode >= 300)
      throw new Error(`${method} ${path}: ${answer.statusCode} ${said}`);
    return JSON.parse(said);
  };
  /** Uses a space for a while: a daemon runs for weeks, what is measured should not be its first seconds. */
  const warmUp = async () => {
    await api("POST", "/spaces", { name: "warm-up", memory: "256m" });
    for (let i = 0; i < WARM_UP; i++) {
      await api("POST", "/spaces/warm-up/exec", { command: ["true"] });
    }
    await api("DELETE", "/spaces/warm-up?removeVolume=true");
  };
  /** The sum of one of the daemon's own measurements over its labels. */
  const metric = async (name) => {
    const headers = { authorization: `Bearer ${key}` };
    const told = await (await fetch(`${url}/metrics`, { headers })).text();
    const lines = [...told.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([\\d.e+]+)$`, "gm"))];
    return lines.reduce((sum, [, value]) => sum + Number(value), 0);
  };
  const stop = async () => {
    for (const { name } of (await api("GET", "/spaces")).spaces) {
      await api("DELETE", `/spaces/${name}?removeVolume=true`);
    }
    child.kill("SIGTERM");
    await once(child, "exit");
    agent.destroy();
    const filters = { label: [`clawdspace.namespace=${namespace}`] };
    // What waited is the daemon's to remove, but it takes no longer than ten seconds for its end.
    for (const { Id } of await docker.listContainers({ all: true, filters })) {
      await docker.getContainer(Id).remove({ force: true, v: true });
    }
    const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
    for (const { Name } of Volumes ?? []) await docker.getVolume(Name).remove();
    await uninstallNetwork(new DockerEngine(socket), namespace, "clawdspace:latest");
    rmSync(folder, { recursive: true, force: true });
  };
  return { api, namespace, metric, warmUp, url, key, pid: child.pid, stop };
}
