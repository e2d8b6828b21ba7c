import { readdir } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { EngineProxy } from "../support/engine-proxy.js";

const TIMEOUT_MS = 1000;

let proxy: EngineProxy;
let daemon: Daemon;
beforeEach(async () => {
  proxy = await EngineProxy.start();
});
afterEach(async () => {
  proxy.resume();
  await daemon.stop();
  await proxy.stop();
});

const start = (guest: string) =>
  startDaemon({
    DOCKER_HOST: proxy.dockerHost,
    CLAWDSPACE_GUEST: guest,
    CLAWDSPACE_ENGINE_TIMEOUT_MS: `${TIMEOUT_MS}`,
  });
const health = async () => (await ask(daemon, "GET", "/api/health")).body;
const sockets = async () => (await readdir(`/proc/${daemon.pid}/fd`)).length;

describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("an engine that takes every request and answers none, with %s", (_what, guest) => {
  test("is told of within the deadline, while the daemon serves; afterwards all goes on", async () => {
    daemon = await start(guest);
    await daemon.space("box");
    await daemon.space("asleep");
    await ask(daemon, "POST", "/api/spaces/asleep/stop");
    expect(await health()).toMatchObject({ status: "ok", engine: "ok" });
    const before = await sockets();
    proxy.hang();
    await expect.poll(health).toMatchObject({ status: "ok", engine: "unreachable" });

    const requests = [
      ["POST", "/api/spaces", { name: "new", memory: "256m" }],
      ["POST", "/api/spaces/asleep/exec", { command: "true" }],
      ["POST", "/api/spaces/asleep/start"],
      ["POST", "/api/spaces/box/stop"],
      ["GET", "/api/spaces/asleep/file?path=/a"],
      ["GET", "/api/spaces/asleep/files"],
      ["GET", "/api/system"],
      ...(guest === "off"
        ? ([
            ["POST", "/api/spaces/box/exec", { command: "true" }],
            ["GET", "/api/spaces/box/files"],
            ["PUT", "/api/spaces/box/file?path=/a", { contentBase64: "eA==" }],
          ] as const)
        : []),
    ] as const;
    const answers = await Promise.all(
      requests.map(async ([method, path, body]) => {
        // Nobody waits behind what hangs.
        const answer = ask(daemon, method, path, body);
        expect((await ask(daemon, "GET", "/api/templates")).status).toBe(200);
        return await answer;
      }),
    );
    for (const [index, answer] of answers.entries()) {
      const what = requests[index]?.slice(0, 2).join(" ");
      expect([what, answer.status, answer.body.error]).toEqual([
        what,
        503,
        expect.stringContaining("did not answer within"),
      ]);
      expectError(answer, "engine_unavailable");
    }
    // The spaces are known without asking it.
    const { body } = await ask(daemon, "GET", "/api/spaces");
    expect(body.spaces).toMatchObject([{ name: "box" }, { name: "asleep" }]);

    proxy.resume();
    await expect.poll(health).toMatchObject({ engine: "ok" });
    const exec = async () =>
      (await ask(daemon, "POST", "/api/spaces/asleep/exec", { command: "echo back" })).body;
    await expect.poll(exec, { timeout: 30_000 }).toMatchObject({ stdout: "back" });
    // Connections to clients and to the engine are kept for a while, one for each request at once.
    const kept = before + 2 * requests.length;
    await expect.poll(sockets, { timeout: 30_000 }).toBeLessThanOrEqual(kept);
    // What it did all the same of what was given up is gone, or can be made.
    const made = async () =>
      (await ask(daemon, "POST", "/api/spaces", { name: "new", memory: "256m" })).status;
    await expect.poll(made, { timeout: 90_000, interval: 1000 }).toBe(201);
    expect(daemon.log).not.toContain("unhandled rejection");
  });
});

test("a daemon that starts before such an engine serves and says so, and finds it when it answers", async () => {
  proxy.hang();
  daemon = await start("on");
  expect(await health()).toMatchObject({ status: "ok", engine: "unreachable" });
  const listed = await ask(daemon, "GET", "/api/spaces");
  expectError(listed, "engine_unavailable");
  expect(listed.body.error).toContain("did not answer within 1 s");
  proxy.resume();
  const list = async () => (await ask(daemon, "GET", "/api/spaces")).body;
  await expect.poll(list, { timeout: 30_000 }).toEqual({ spaces: [] });
  expect(await daemon.space("late")).toBe("late");
});
