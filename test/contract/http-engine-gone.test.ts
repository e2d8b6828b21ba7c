import { readdir } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { EngineProxy } from "../support/engine-proxy.js";

// A cut is the engine's end as the daemon sees it; spaces go on, as they do with an engine that restores them.
describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("the engine gone, with %s", (_what, guest) => {
  let proxy: EngineProxy;
  let daemon: Daemon;
  beforeAll(async () => {
    proxy = await EngineProxy.start();
    daemon = await startDaemon({ DOCKER_HOST: proxy.dockerHost, CLAWDSPACE_GUEST: guest });
    await daemon.space("box");
    await daemon.space("asleep");
    await ask(daemon, "POST", "/api/spaces/asleep/stop");
  });
  afterAll(async () => {
    await proxy.cut();
    await proxy.mend();
    await daemon.stop();
    await proxy.stop();
  });

  const exec = (command: string, space = "box") =>
    ask(daemon, "POST", `/api/spaces/${space}/exec`, { command });
  const works = async () =>
    await expect
      .poll(async () => (await exec("echo back")).body, { timeout: 20_000 })
      .toMatchObject({ stdout: "back" });

  test("everything that needs it is 503 with what to do; health and capabilities go on", async () => {
    await proxy.cut();
    const listed = async () => (await ask(daemon, "GET", "/api/spaces")).status;
    await expect.poll(listed).toBe(503);
    for (const [method, path, body] of [
      ["GET", "/api/spaces"],
      ["GET", "/api/spaces/box"],
      ["GET", "/api/spaces/no-such"],
      ["POST", "/api/spaces", { name: "new" }],
      ["POST", "/api/spaces/asleep/exec", { command: "true" }],
      ["POST", "/api/spaces/asleep/start"],
      ["POST", "/api/spaces/box/stop"],
      ["DELETE", "/api/spaces/box"],
      ["GET", "/api/spaces/box/stats"],
      ["GET", "/api/system"],
    ] as const) {
      const answer = await ask(daemon, method, path, body);
      expectError(answer, "engine_unavailable");
      expect(answer.body.error, `${method} ${path}`).toMatch(/engine/i);
    }
    expect((await ask(daemon, "GET", "/api/health")).status).toBe(200);
    expect((await ask(daemon, "GET", "/api/system/capabilities")).status).toBe(200);
    expect((await ask(daemon, "GET", "/api/doctor")).body.checks).toContainEqual({
      name: "Docker Engine",
      status: "failed",
      detail: expect.stringMatching(/can't be reached/),
      fix: expect.stringMatching(/docker/),
    });
    expectError(await ask(daemon, "POST", "/api/spaces", { name: "a b" }), "invalid_request");
    await proxy.mend();
  });

  test("it is used again as soon as it is back, without anybody's doing", async () => {
    await works();
    const { body } = await ask(daemon, "GET", "/api/spaces");
    expect(body.spaces).toMatchObject([
      { name: "box", status: "running" },
      { name: "asleep", status: "paused" },
    ]);
    expect((await exec("echo woke", "asleep")).body).toMatchObject({ stdout: "woke" });
    await ask(daemon, "POST", "/api/spaces/asleep/stop");
    expect(await daemon.space("new")).toBe("new");
  });

  test("what changed meanwhile is seen", async () => {
    await daemon.space("removed");
    await daemon.space("paused");
    await proxy.cut();
    await docker.getContainer(`${daemon.namespace}-removed`).remove({ force: true });
    await docker.getContainer(`${daemon.namespace}-paused`).pause();
    await proxy.mend();
    await works();
    expect((await ask(daemon, "GET", "/api/spaces/removed")).status).toBe(404);
    expect((await ask(daemon, "GET", "/api/spaces/paused")).body.space.status).toBe("paused");
  });

  test("ten cuts in a row leave a daemon that works and holds no more connections than before", async () => {
    await works();
    const sockets = async () => (await readdir(`/proc/${daemon.pid}/fd`)).length;
    const before = await sockets();
    for (let round = 0; round < 10; round++) {
      await proxy.cut();
      await Promise.all([
        ask(daemon, "GET", "/api/spaces"),
        exec("echo x"),
        ask(daemon, "POST", "/api/spaces/box/stop"),
      ]);
      await proxy.mend();
      await delay(50);
    }
    await works();
    expect(await Promise.all([1, 2, 3].map(() => exec("echo many")))).toMatchObject(
      [1, 2, 3].map(() => ({ body: { stdout: "many" } })),
    );
    await expect.poll(sockets, { timeout: 10_000 }).toBeLessThanOrEqual(before + 8);
    expect(daemon.log).not.toContain("unhandled rejection");
  });

  test("a create that is cut off by it leaves nothing once it is back", async () => {
    const create = ask(daemon, "POST", "/api/spaces", { name: "half", memory: "256m" });
    await delay(120);
    await proxy.cut();
    const answer = await create;
    await proxy.mend();
    await works();
    if (answer.status === 201) return;
    expectError(answer, "engine_unavailable");
    const left = async () => {
      const filters = { label: [`clawdspace.namespace=${daemon.namespace}`] };
      const containers = await docker.listContainers({ all: true, filters });
      const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
      const found = [
        ...containers.map(({ Names }) => Names[0] ?? ""),
        ...(Volumes ?? []).map(({ Name }) => Name),
      ];
      return found.filter((name) => name.includes("half"));
    };
    await expect.poll(left, { timeout: 90_000, interval: 1000 }).toEqual([]);
    expect(await daemon.space("half")).toBe("half");
  });
});

test("a daemon that starts without an engine serves, says so, and finds it later", async () => {
  const proxy = await EngineProxy.start();
  await proxy.cut();
  const daemon = await startDaemon({ DOCKER_HOST: proxy.dockerHost });
  try {
    expectError(await ask(daemon, "GET", "/api/spaces"), "engine_unavailable");
    await proxy.mend();
    await expect
      .poll(async () => (await ask(daemon, "GET", "/api/spaces")).body, { timeout: 10_000 })
      .toEqual({ spaces: [] });
    expect(await daemon.space("late")).toBe("late");
  } finally {
    await daemon.stop();
    await proxy.stop();
  }
});
