import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask } from "../support/answers.js";
import { type Daemon, docker, removeNamespace, startDaemon } from "../support/daemon.js";
import { EngineProxy } from "../support/engine-proxy.js";
import { isClaimed, poolOf, until, untilReady } from "../support/pool.js";

let proxy: EngineProxy;
let daemon: Daemon;
beforeAll(async () => {
  proxy = await EngineProxy.start();
  daemon = await startDaemon({ CLAWDSPACE_POOL: "1", DOCKER_HOST: proxy.dockerHost });
});
afterAll(async () => {
  await daemon.stop();
  await removeNamespace(daemon.namespace);
  await proxy.stop();
});

/** What of a daemon is in the engine and in its folder, but for the pool and the guest agent. */
async function left(): Promise<string[]> {
  const filters = { label: [`clawdspace.namespace=${daemon.namespace}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  const waiting = new Set((await poolOf(daemon)).map(({ id }) => id));
  const folders = ["claims", "env"].map((each) => join(daemon.folder, "data", each));
  const files = await Promise.all(folders.map((each) => readdir(each).catch(() => [])));
  return [
    ...containers.filter(({ Id }) => !waiting.has(Id)).map(({ Names }) => Names[0] ?? ""),
    ...(Volumes ?? [])
      .map(({ Name }) => Name.slice(daemon.namespace.length + 1))
      .filter((name) => !name.startsWith("guest-")),
    ...files.flat(),
  ];
}

test.each([
  ["its volume gets a name", /^POST .*\/volumes\/create/],
  ["its limits are set", /^POST .*\/containers\/\w+\/update/],
  ["it is named", /^POST .*\/containers\/\w+\/rename/],
])("a daemon that is killed before or after %s leaves a space or nothing", async (_what, call) => {
  for (const after of [false, true]) {
    await untilReady(daemon);
    let killed: Promise<void> | undefined;
    proxy.onRequest = async (request, answered) => {
      if (answered !== after || !call.test(request) || killed) return;
      killed = daemon.kill("SIGKILL");
      await killed;
    };
    const options = { name: "cut", cpus: 0.5, env: { TOKEN: "x" } };
    await expect(ask(daemon, "POST", "/api/spaces", options)).rejects.toThrow();
    expect(killed).toBeDefined();
    proxy.onRequest = () => {};
    await daemon.run();
    // The engine may do what it was asked for although the asker is gone: then the space is there, and whole.
    const named = call.source.includes("rename");
    await untilReady(daemon);
    const found = await ask(daemon, "GET", "/api/spaces/cut");
    if (named && found.status === 200) {
      expect(await isClaimed(daemon, "cut")).toBe(true);
      const ran = await ask(daemon, "POST", "/api/spaces/cut/exec", { command: "echo $TOKEN" });
      expect(ran.body.stdout).toBe("x");
      expect((await ask(daemon, "DELETE", "/api/spaces/cut?removeVolume=true")).status).toBe(200);
    } else {
      expect(found.status).toBe(404);
      expect(after && named).toBe(false);
    }
    await until("nothing is left", async () => {
      const pool = (await poolOf(daemon)).length;
      const names = await left();
      return names.length === pool && names.every((name) => name.startsWith("pool-"));
    });
    expect((await ask(daemon, "POST", "/api/spaces", options)).status).toBe(201);
    expect((await ask(daemon, "DELETE", "/api/spaces/cut?removeVolume=true")).status).toBe(200);
  }
});

test.each([
  ["the container goes", /^DELETE .*\/containers\/\w+/],
  ["the volume goes", /^DELETE .*\/volumes\/.*-vol-cut/],
])(
  "a removal that is cut off before or after %s is ended before anything is served",
  async (_what, call) => {
    for (const after of [false, true]) {
      await untilReady(daemon);
      expect((await ask(daemon, "POST", "/api/spaces", { name: "cut" })).status).toBe(201);
      let killed: Promise<void> | undefined;
      proxy.onRequest = async (request, answered) => {
        if (answered !== after || !call.test(request) || killed) return;
        killed = daemon.kill("SIGKILL");
        await killed;
      };
      const removal = ask(daemon, "DELETE", "/api/spaces/cut?removeVolume=true");
      await expect(removal).rejects.toThrow();
      expect(killed).toBeDefined();
      proxy.onRequest = () => {};
      await daemon.run();
      expect((await ask(daemon, "GET", "/api/spaces/cut")).status).toBe(404);
      expect((await left()).filter((name) => name.endsWith("-cut"))).toEqual([]);
      expect((await ask(daemon, "POST", "/api/spaces", { name: "cut" })).status).toBe(201);
      const ran = await ask(daemon, "POST", "/api/spaces/cut/exec", { command: "ls -A" });
      expect(ran.body).toMatchObject({ stdout: "", exitCode: 0 });
      expect((await ask(daemon, "DELETE", "/api/spaces/cut?removeVolume=true")).status).toBe(200);
    }
  },
);
