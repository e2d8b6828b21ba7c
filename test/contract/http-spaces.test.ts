import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon();
});
afterAll(() => daemon.stop());

const names = async () =>
  (await ask(daemon, "GET", "/api/spaces")).body.spaces.map(({ name }: { name: string }) => name);
const get = async (name: string) => (await ask(daemon, "GET", `/api/spaces/${name}`)).body.space;
const exec = async (space: string, command: string, options: object = {}) => {
  const answer = await ask(daemon, "POST", `/api/spaces/${space}/exec`, { command, ...options });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
};
const volumeExists = async (space: string) =>
  await docker
    .getVolume(`${daemon.namespace}-vol-${space}`)
    .inspect()
    .then(
      () => true,
      () => false,
    );
const NOW = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

describe("a space's life", () => {
  test("create, find, list, pause, resume, remove, as the contract writes them", async () => {
    const created = await ask(daemon, "POST", "/api/spaces", { name: "life" });
    expect(created.status).toBe(201);
    expect(created.body).toEqual({
      space: {
        name: "life",
        id: expect.stringMatching(/^[0-9a-f]{12}$/),
        status: "running",
        created: NOW,
        started: NOW,
        image: "clawdspace:latest",
        memory: 2 * 1024 ** 3,
        cpus: 1,
        lastActivity: NOW,
        sleepsAt: NOW,
        volume: { name: `${daemon.namespace}-vol-life`, mountpoint: "/workspace" },
      },
    });
    const { space } = created.body;
    const container = await docker.getContainer(`${daemon.namespace}-life`).inspect();
    expect(container.Id.slice(0, 12)).toBe(space.id);

    const got = await ask(daemon, "GET", "/api/spaces/life");
    expect(got.status).toBe(200);
    const found = { ...space, created: NOW, lastActivity: NOW, sleepsAt: NOW };
    expect(got.body).toMatchObject({ space: found });
    const list = await ask(daemon, "GET", "/api/spaces");
    expect(list.body).toMatchObject({ spaces: [found] });

    const stopped = await ask(daemon, "POST", "/api/spaces/life/stop");
    expect(stopped).toMatchObject({ status: 200, body: { message: expect.any(String) } });
    expect(await get("life")).toMatchObject({ status: "paused", started: NOW });
    const started = await ask(daemon, "POST", "/api/spaces/life/start");
    expect(started).toMatchObject({ status: 200, body: { message: expect.any(String) } });
    expect(await get("life")).toMatchObject({ status: "running" });

    const removed = await ask(daemon, "DELETE", "/api/spaces/life?removeVolume=true");
    expect(removed).toMatchObject({ status: 200, body: { message: expect.any(String) } });
    expectError(await ask(daemon, "GET", "/api/spaces/life"), "not_found");
    expect(await names()).toEqual([]);
    expect(await volumeExists("life")).toBe(false);
  });

  test("pausing what is paused and resuming what runs changes nothing", async () => {
    await daemon.space("twice");
    for (const [action, status] of [
      ["stop", "paused"],
      ["stop", "paused"],
      ["start", "running"],
      ["start", "running"],
    ]) {
      expect((await ask(daemon, "POST", `/api/spaces/twice/${action}`)).status).toBe(200);
      expect(await get("twice")).toMatchObject({ status });
    }
  });

  test("the request's limits are the container's", async () => {
    const options = { memory: "512m", cpus: 0.5, description: "Words", labels: { team: "a/b" } };
    const { body } = await ask(daemon, "POST", "/api/spaces", { name: "limits", ...options });
    expect(body.space).toMatchObject({
      memory: 512 * 1024 ** 2,
      cpus: 0.5,
      description: "Words",
      labels: { team: "a/b" },
    });
    const { HostConfig, Config } = await docker
      .getContainer(`${daemon.namespace}-limits`)
      .inspect();
    expect(HostConfig).toMatchObject({
      Memory: 512 * 1024 ** 2,
      NanoCpus: 5e8,
      CapDrop: ["ALL"],
      Privileged: false,
      SecurityOpt: expect.arrayContaining(["no-new-privileges"]),
    });
    expect(Config.User).toMatch(/^1001/);
  });

  test("what the request says wins over the template, the template over the defaults", async () => {
    const yaml =
      "name: small\nresources:\n  memory: 300m\n  cpus: 0.5\nnetwork:\n  mode: none\nworkspace:\n  defaultRepoDest: src\n";
    expect((await ask(daemon, "PUT", "/api/templates", { yaml })).status).toBe(200);
    const create = async (name: string, options: object) =>
      (await ask(daemon, "POST", "/api/spaces", { name, template: "small", ...options })).body
        .space;
    expect(await create("tpl-1", {})).toMatchObject({
      memory: 300 * 1024 ** 2,
      cpus: 0.5,
      template: "small",
    });
    expect(await create("tpl-2", { memory: "400m" })).toMatchObject({
      memory: 400 * 1024 ** 2,
      cpus: 0.5,
    });
    const { HostConfig } = await docker.getContainer(`${daemon.namespace}-tpl-1`).inspect();
    expect(HostConfig.NetworkMode).toBe("none");
  });

  test("a name may be as long, and as odd, as the contract lets it", async () => {
    for (const name of ["x".repeat(63), "-", "_", "-a_B-9_", "0", "CASE", "case"]) {
      expect(await daemon.space(name), name).toBe(name);
      expect(await exec(name, "hostname")).toMatchObject({ exitCode: 0 });
      expect((await ask(daemon, "DELETE", `/api/spaces/${name}?removeVolume=true`)).status).toBe(
        200,
      );
    }
  });

  test("a name that is taken is 409, also of a sleeping space", async () => {
    await daemon.space("taken");
    expectError(await ask(daemon, "POST", "/api/spaces", { name: "taken" }), "exists");
    await ask(daemon, "POST", "/api/spaces/taken/stop");
    expectError(await ask(daemon, "POST", "/api/spaces", { name: "taken" }), "exists");
    expect(await get("taken")).toMatchObject({ status: "paused" });
  });

  test("two creates of one name at once give one 201 and one 409", async () => {
    const create = () => ask(daemon, "POST", "/api/spaces", { name: "race" });
    const answers = await Promise.all([create(), create(), create()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    for (const answer of answers) if (answer.status === 409) expectError(answer, "exists");
    expect(await exec("race", "echo one")).toMatchObject({ stdout: "one" });
  });

  test("a repeated create with one idempotencyKey answers with the space made first", async () => {
    const create = (idempotencyKey: string) =>
      ask(daemon, "POST", "/api/spaces", { name: "again", idempotencyKey });
    const [one, two] = await Promise.all([create("k1"), create("k1")]);
    expect([one.status, two.status]).toEqual([201, 201]);
    expect(one.body.space.id).toBe(two.body.space.id);
    expect((await create("k1")).body.space.id).toBe(one.body.space.id);
    expectError(await create("k2"), "exists");
    await daemon.restart();
    expect((await create("k1")).body.space.id).toBe(one.body.space.id);
  });
});

describe("removal", () => {
  test("without removeVolume the data is kept for the next space of that name", async () => {
    await daemon.space("kept");
    await exec("kept", "echo data > file");
    for (const query of ["", "?removeVolume=false", "?removeVolume=0"]) {
      expect((await ask(daemon, "DELETE", `/api/spaces/kept${query}`)).status).toBe(200);
      expect(await volumeExists("kept")).toBe(true);
      await daemon.space("kept");
      expect(await exec("kept", "cat file")).toMatchObject({ stdout: "data" });
    }
  });

  test.each(["true", "1"])("with removeVolume=%s nothing is left", async (value) => {
    await daemon.space("gone");
    await exec("gone", "echo data > file");
    expect((await ask(daemon, "DELETE", `/api/spaces/gone?removeVolume=${value}`)).status).toBe(
      200,
    );
    expect(await volumeExists("gone")).toBe(false);
    await daemon.space("gone");
    expect(await exec("gone", "cat file")).toMatchObject({ exitCode: 1 });
    await ask(daemon, "DELETE", "/api/spaces/gone?removeVolume=true");
  });

  test("a paused space and one with work in it are removed as well", async () => {
    await daemon.space("busy");
    const running = exec("busy", "sleep 60").catch(() => {});
    await delay(200);
    expect((await ask(daemon, "DELETE", "/api/spaces/busy?removeVolume=1")).status).toBe(200);
    await running;
    await daemon.space("asleep");
    await ask(daemon, "POST", "/api/spaces/asleep/stop");
    expect((await ask(daemon, "DELETE", "/api/spaces/asleep?removeVolume=1")).status).toBe(200);
    expectError(await ask(daemon, "DELETE", "/api/spaces/asleep"), "not_found");
  });

  test("a command that waits is answered when its space is removed", async () => {
    await daemon.space("doomed");
    const answer = ask(daemon, "POST", "/api/spaces/doomed/exec", { command: "sleep 60" });
    await delay(300);
    await ask(daemon, "DELETE", "/api/spaces/doomed?removeVolume=1");
    expectError(await answer, "wrong_state");
  });

  test("a container that was removed behind the daemon's back is no space any more", async () => {
    await daemon.space("vanished");
    await docker.getContainer(`${daemon.namespace}-vanished`).remove({ force: true });
    await expect
      .poll(async () => (await ask(daemon, "GET", "/api/spaces/vanished")).status)
      .toBe(404);
    expect(await daemon.space("vanished")).toBe("vanished");
  });
});

describe("sleep and wake", () => {
  test("a pause lets requests finish for up to two seconds, and new ones wake the space again", async () => {
    await daemon.space("sleepy");
    const short = exec("sleepy", "sleep 0.8; echo finished");
    await delay(200);
    const began = Date.now();
    expect((await ask(daemon, "POST", "/api/spaces/sleepy/stop")).status).toBe(200);
    expect(Date.now() - began).toBeLessThan(2500);
    expect(await short).toMatchObject({ stdout: "finished" });
    expect(await get("sleepy")).toMatchObject({ status: "paused" });
    expect(await exec("sleepy", "echo awake")).toMatchObject({ stdout: "awake" });
    expect(await get("sleepy")).toMatchObject({ status: "running" });
  });

  test("what still runs then is frozen, and goes on after the wake", async () => {
    await daemon.space("frozen");
    const long = exec("frozen", "for i in 1 2 3 4; do sleep 1; echo $i; done");
    await delay(300);
    const began = Date.now();
    await ask(daemon, "POST", "/api/spaces/frozen/stop");
    expect(Date.now() - began).toBeLessThan(4000);
    expect(await get("frozen")).toMatchObject({ status: "paused" });
    await delay(500);
    expect((await ask(daemon, "POST", "/api/spaces/frozen/start")).status).toBe(200);
    expect(await long).toMatchObject({ stdout: "1\n2\n3\n4", exitCode: 0 });
  });

  test("twenty commands to a sleeping space wake it once and all are answered", async () => {
    await daemon.space("crowd");
    await ask(daemon, "POST", "/api/spaces/crowd/stop");
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) => exec("crowd", `echo ${index}`)),
    );
    expect(results.map(({ stdout }) => stdout)).toEqual(results.map((_, index) => `${index}`));
  });

  test("looking at a sleeping space doesn't wake it", async () => {
    await daemon.space("watched");
    await ask(daemon, "POST", "/api/spaces/watched/stop");
    for (const path of ["", "/stats", "/observability"]) {
      expect((await ask(daemon, "GET", `/api/spaces/watched${path}`)).status, path).toBe(200);
    }
    expect(await get("watched")).toMatchObject({ status: "paused" });
  });

  test("pauses, wakes and commands in any order leave every command answered", async () => {
    await daemon.space("storm");
    const results = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        await delay(index * 20);
        if (index % 3 === 0) return (await ask(daemon, "POST", "/api/spaces/storm/stop")).status;
        if (index % 3 === 1) return (await exec("storm", `echo ${index}`)).stdout;
        return (await ask(daemon, "POST", "/api/spaces/storm/start")).status;
      }),
    );
    expect(results).toEqual(results.map((_, index) => (index % 3 === 1 ? `${index}` : 200)));
  });

  test("a pause behind the daemon's back is seen, and ended by the next command", async () => {
    await daemon.space("outside");
    await docker.getContainer(`${daemon.namespace}-outside`).pause();
    await expect.poll(async () => (await get("outside")).status).toBe("paused");
    expect(await exec("outside", "echo back")).toMatchObject({ stdout: "back" });
  });

  test("memory and processes outlive a pause", async () => {
    await daemon.space("memory");
    await exec("memory", "(while :; do sleep 0.1; done) > /dev/null 2>&1 & echo $! > pid");
    await ask(daemon, "POST", "/api/spaces/memory/stop");
    expect(await exec("memory", "kill -0 $(cat pid) && echo alive")).toMatchObject({
      stdout: "alive",
    });
  });
});

describe("what a space uses", () => {
  const COUNTERS = {
    cpuPercent: expect.any(Number),
    memoryUsageBytes: expect.any(Number),
    memoryLimitBytes: 256 * 1024 ** 2,
    pids: expect.any(Number),
    networkRxBytes: expect.any(Number),
    networkTxBytes: expect.any(Number),
    blockReadBytes: expect.any(Number),
    blockWriteBytes: expect.any(Number),
  };

  test("stats grow with what runs", async () => {
    await daemon.space("stats");
    const stats = async () => (await ask(daemon, "GET", "/api/spaces/stats/stats")).body.stats;
    const idle = await stats();
    expect(idle).toEqual(COUNTERS);
    expect(idle.pids).toBeGreaterThan(0);
    expect(idle.memoryUsageBytes).toBeGreaterThan(0);
    await exec("stats", "for i in 1 2 3; do (while :; do :; done) >/dev/null 2>&1 & done");
    await delay(500);
    await stats();
    await delay(500);
    const busy = await stats();
    expect(busy.pids).toBeGreaterThanOrEqual(idle.pids + 3);
    expect(busy.cpuPercent).toBeGreaterThan(20);
  });

  test("observability tells of disk, processes and the shell's history", async () => {
    await daemon.space("seen");
    await exec("seen", "echo '#1' > .bash_history; echo 'make test' >> .bash_history");
    await exec("seen", "sleep 61.5 >/dev/null 2>&1 &");
    const { body } = await ask(daemon, "GET", "/api/spaces/seen/observability");
    const { observability } = body;
    expect(observability.stats).toEqual(COUNTERS);
    expect(observability.workspaceDisk).toMatchObject({
      path: "/workspace",
      totalBytes: expect.any(Number),
      usedBytes: expect.any(Number),
      availBytes: expect.any(Number),
      usedPercent: expect.any(Number),
    });
    expect(observability.bashHistoryTail).toContain("make test");
    expect(observability.top).toContainEqual({
      pid: expect.any(Number),
      cpu: expect.any(Number),
      mem: expect.any(Number),
      etime: expect.stringMatching(/^\d\d:\d\d$/),
      command: "sleep 61.5",
    });
  });

  test("a stopped space uses nothing", async () => {
    await daemon.space("unused");
    await docker.getContainer(`${daemon.namespace}-unused`).stop({ t: 1 });
    await expect.poll(async () => (await get("unused")).status).toBe("stopped");
    const { body } = await ask(daemon, "GET", "/api/spaces/unused/stats");
    expect(body.stats).toMatchObject({ pids: 0, memoryUsageBytes: 0, cpuPercent: 0 });
  });
});

describe("a restart of the daemon", () => {
  test.each(["SIGKILL", "SIGTERM"] as const)(
    "by %s loses no space, no state and no running process",
    async (signal) => {
      await daemon.space("stays", { env: { KEY: "value" }, description: "Stays" });
      await exec("stays", "sleep 62.5 > /dev/null 2>&1 & echo data > file");
      await daemon.space("sleeps");
      await ask(daemon, "POST", "/api/spaces/sleeps/stop");
      const {
        lastActivity: _at,
        sleepsAt: _then,
        security: _checked,
        ...before
      } = await get("stays");
      await daemon.restart(signal);
      expect(await get("stays")).toMatchObject(before);
      expect(await get("sleeps")).toMatchObject({ status: "paused" });
      expect(await exec("stays", "cat file; echo $KEY; pgrep -fc 'sleep 62.5'")).toMatchObject({
        stdout: expect.stringMatching(/^data\nvalue\n[12]$/),
      });
      for (const name of ["stays", "sleeps"])
        expect((await ask(daemon, "DELETE", `/api/spaces/${name}?removeVolume=1`)).status).toBe(
          200,
        );
    },
  );

  test("SIGTERM lets a command in flight finish", async () => {
    await daemon.space("drain");
    const answer = exec("drain", "sleep 1.5; echo finished");
    await delay(300);
    const ended = daemon.kill("SIGTERM");
    expect(await answer).toMatchObject({ stdout: "finished" });
    await ended;
    await daemon.run();
    expect(await get("drain")).toMatchObject({ status: "running" });
  });
});
