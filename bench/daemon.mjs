import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";

const socket = (process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock").replace("unix://", "");
export const docker = new Docker({ socketPath: socket });

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
  const api = async (method, path, body) => {
    const answer = await fetch(`${url}/api${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body ? { "content-type": "application/json" } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const value = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(value)}`);
    return value;
  };
  /** The sum of one of the daemon's own measurements over its labels. */
  const metric = async (name) => {
    const headers = { authorization: `Bearer ${key}` };
    const text = await (await fetch(`${url}/metrics`, { headers })).text();
    const lines = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([\\d.e+]+)$`, "gm"))];
    return lines.reduce((sum, [, value]) => sum + Number(value), 0);
  };
  const stop = async () => {
    for (const { name } of (await api("GET", "/spaces")).spaces) {
      await api("DELETE", `/spaces/${name}?removeVolume=true`);
    }
    child.kill("SIGTERM");
    await once(child, "exit");
    const filters = { label: [`clawdspace.namespace=${namespace}`] };
    const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
    for (const { Name } of Volumes ?? []) await docker.getVolume(Name).remove();
    for (const { Id } of await docker.listNetworks({ filters }))
      await docker.getNetwork(Id).remove();
    rmSync(folder, { recursive: true, force: true });
  };
  return { api, namespace, metric, url, key, pid: child.pid, stop };
}
