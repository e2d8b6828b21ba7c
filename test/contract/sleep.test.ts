import { setTimeout as delay } from "node:timers/promises";
import type { AuditEvent } from "@clawdspace/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { type Line, linesOf } from "../support/processes.js";
import { TerminalClient } from "../support/terminal.js";

/** A machine that is busy with other tests takes its time. */
const SLOW = { timeout: 30_000, interval: 100 };

const statusOf = async (daemon: Daemon, space: string) =>
  (await ask(daemon, "GET", `/api/spaces/${space}`)).body.space.status;
const exec = async (daemon: Daemon, space: string, command: string, options: object = {}) =>
  await ask(daemon, "POST", `/api/spaces/${space}/exec`, { command, ...options });
const eventsOf = async (daemon: Daemon, query: string): Promise<AuditEvent[]> =>
  (await ask(daemon, "GET", `/api/audit?limit=1000&${query}`)).body.events;
const falls = async (daemon: Daemon, space: string, status: "paused" | "stopped") =>
  await expect.poll(() => statusOf(daemon, space), SLOW).toBe(status);

describe("a space that nobody uses for a second", () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ IDLE_TIMEOUT_MS: "1000" });
  });
  afterAll(() => daemon.stop());

  const template = async (name: string, sleep: string) => {
    const yaml = `name: ${name}\nsleep: ${sleep}\n`;
    expect((await ask(daemon, "PUT", "/api/templates", { yaml })).status).toBe(200);
  };

  test("is paused, which the log and the events tell, and wakes on use", async () => {
    await daemon.space("idle");
    await exec(daemon, "idle", "echo 1 > here");
    await falls(daemon, "idle", "paused");
    const logged = async () => await eventsOf(daemon, "space=idle&type=space.pause");
    await expect.poll(async () => (await logged()).length, SLOW).toBe(1);
    expect(await logged()).toMatchObject([
      {
        actor: "system",
        meta: { reason: "idle", outcome: "ok", idleSince: expect.stringMatching(/^20/) },
      },
    ]);
    expect((await exec(daemon, "idle", "cat here")).body).toMatchObject({ stdout: "1" });
    await falls(daemon, "idle", "paused");
  });

  test("is not while anything of ours goes on in it: command, process, terminal, file, proxied request, or its CPU is busy", async () => {
    const uses: Record<string, () => Promise<unknown>> = {
      command: () => exec(daemon, "command", "sleep 5"),
      process: () =>
        ask(daemon, "POST", "/api/spaces/process/processes", { command: "exec sleep 5" }),
      terminal: async () => {
        const terminal = await TerminalClient.open(daemon, "terminal");
        await delay(5000);
        terminal.socket.close();
        await terminal.closed;
      },
      file: async () => {
        const slow = new ReadableStream({
          async start(controller) {
            for (let second = 0; second < 5; second++) {
              controller.enqueue(new TextEncoder().encode("x"));
              await delay(1000);
            }
            controller.close();
          },
        });
        const init = { body: slow, duplex: "half" } as RequestInit;
        const path = "/api/spaces/file/files/raw?path=/slow";
        expect((await daemon.request("PUT", path, undefined, init)).status).toBe(200);
      },
      proxied: async () => {
        const serve =
          "import http.server,time\nclass H(http.server.BaseHTTPRequestHandler):\n def do_GET(s):\n  time.sleep(5); s.send_response(200); s.end_headers(); s.wfile.write(b'slow')\nhttp.server.HTTPServer(('',8000),H).serve_forever()";
        const command = ["sh", "-c", 'setsid python3 -c "$0" >/dev/null 2>&1 &', serve];
        await ask(daemon, "POST", "/api/spaces/proxied/exec", { command });
        const wait = { timeoutMs: 20_000 };
        await ask(daemon, "POST", "/api/spaces/proxied/ports/8000/wait", wait);
        const answer = await daemon.request("GET", "/api/spaces/proxied/proxy/8000/");
        expect(await answer.text()).toBe("slow");
      },
      busy: () =>
        exec(daemon, "busy", "setsid timeout 6 sh -c 'while :; do :; done' >/dev/null 2>&1 &"),
    };
    const names = Object.keys(uses);
    await Promise.all(names.map((name) => daemon.space(name)));
    const began = Date.now();
    const using = names.map((name) => uses[name]?.());
    const fell: string[] = [];
    while (Date.now() - began < 4500) {
      const { spaces } = (await ask(daemon, "GET", "/api/spaces")).body;
      for (const { name, status } of spaces) {
        if (names.includes(name) && status !== "running") fell.push(name);
      }
      await delay(100);
    }
    expect(fell).toEqual([]);
    await Promise.all(using);
    await Promise.all(names.map((name) => falls(daemon, name, "paused")));
    for (const name of names) {
      expect(await eventsOf(daemon, `space=${name}&type=space.pause`), name).toHaveLength(1);
    }
  });

  test("is paused though its CPU is busy where its template says so", async () => {
    await template("lazy", "{ keepAwakeWhileBusy: false }");
    await daemon.space("lazy", { template: "lazy" });
    await exec(daemon, "lazy", "setsid timeout 60 sh -c 'while :; do :; done' >/dev/null 2>&1 &");
    await falls(daemon, "lazy", "paused");
  });

  test("stays awake where its template says never, or later", async () => {
    await template("never", "{ idleTimeout: 0 }");
    await template("later", "{ idleTimeout: 1h }");
    const others = ["never", "later"];
    await Promise.all(others.map((name) => daemon.space(name, { template: name })));
    await daemon.space("sooner");
    await falls(daemon, "sooner", "paused");
    await delay(1000);
    for (const name of others) expect(await statusOf(daemon, name)).toBe("running");
  });

  test("was last used when it was, also after the daemon was killed", async () => {
    await template("later", "{ idleTimeout: 1h }");
    await daemon.space("past", { template: "later" });
    await daemon.space("slept");
    await exec(daemon, "past", "true");
    await falls(daemon, "slept", "paused");
    const names = ["past", "slept"];
    const used = async (name: string) =>
      (await ask(daemon, "GET", `/api/spaces/${name}`)).body.space.lastActivity;
    const before = await Promise.all(names.map(used));
    await delay(1000);
    await daemon.restart("SIGKILL");
    expect(await Promise.all(names.map(used))).toEqual(before);
  });

  test("answers a hundred requests at once, and is woken once for them", async () => {
    await daemon.space("crowd");
    await falls(daemon, "crowd", "paused");
    const wakes = async () => {
      const text = await (await daemon.request("GET", "/metrics")).text();
      return Number(/^clawdspace_wakes_total\{from="paused"\} (\d+)/m.exec(text)?.[1] ?? 0);
    };
    const before = await wakes();
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const path = `/api/spaces/crowd/file?path=/f${n}`;
        if (n % 4 === 3) return (await ask(daemon, "PUT", path, { contentBase64: "" })).status;
        return (await exec(daemon, "crowd", `echo ${n}`)).body.stdout;
      }),
    );
    expect(answers).toEqual(answers.map((_, n) => (n % 4 === 3 ? 200 : `${n}`)));
    await expect.poll(wakes).toBe(before + 1);
  });
});

describe("the owner's word", () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon();
    await daemon.space("box");
  });
  afterAll(() => daemon.stop());

  test("pauses what runs after two seconds; streams tell it, time limits stand still, all goes on after the wake", async () => {
    const answer = await daemon.request(
      "POST",
      "/api/spaces/box/exec",
      // What is printed comes well before and after the pause, not just as it begins.
      { command: "for i in 1 2 3 4 5; do echo $i; sleep 1.5; done", timeoutMs: 12_000 },
      { headers: { accept: "application/x-ndjson" } },
    );
    const lines: Line[] = [];
    const reading = (async () => {
      for await (const line of linesOf(answer)) lines.push(line);
    })();
    const began = Date.now();
    await ask(daemon, "POST", "/api/spaces/box/stop");
    expect(Date.now() - began).toBeGreaterThan(1500);
    expect(await statusOf(daemon, "box")).toBe("paused");
    await delay(6000);
    expect(lines.at(-1)).toEqual({ type: "paused" });
    await ask(daemon, "POST", "/api/spaces/box/start");
    await reading;
    expect(lines.flatMap(({ data, type }) => data?.trim() ?? type)).toEqual(
      expect.arrayContaining(["1", "paused", "resumed", "5", "exit"]),
    );
    expect(lines.at(-1)).toMatchObject({ type: "exit", exitCode: 0 });
    expect(lines.at(-1).timedOut).toBeUndefined();
  });

  test("is followed by the requests that come after it: they wake the space, and what was frozen goes on", async () => {
    const long = exec(daemon, "box", "sleep 4; echo over");
    await delay(300);
    const stop = ask(daemon, "POST", "/api/spaces/box/stop");
    await delay(300);
    const later = await exec(daemon, "box", "echo later");
    expect((await stop).status).toBe(200);
    expect(later.body).toMatchObject({ stdout: "later" });
    expect((await long).body).toMatchObject({ stdout: "over", exitCode: 0 });
    expect(await statusOf(daemon, "box")).toBe("running");
  });
});

describe("a space that sleeps for long", () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ IDLE_TIMEOUT_MS: "300", CLAWDSPACE_STOP_AFTER_MS: "1200" });
  });
  afterAll(() => daemon.stop());

  test("is stopped, which frees its memory and is told, and starts on use with its files and its environment", async () => {
    await daemon.space("long", { env: { KEY: "value" } });
    await exec(daemon, "long", "echo kept > file");
    await falls(daemon, "long", "stopped");
    const { State } = await docker.getContainer(`${daemon.namespace}-long`).inspect();
    expect(State.Running).toBe(false);
    const stops = async () => await eventsOf(daemon, "space=long&type=space.stop");
    await expect.poll(async () => (await stops()).length, SLOW).toBe(1);
    expect((await stops())[0]).toMatchObject({ actor: "system", meta: { outcome: "ok" } });
    const { body } = await exec(daemon, "long", "cat file; echo $KEY");
    expect(body).toMatchObject({ stdout: "kept\nvalue", exitCode: 0 });
  });

  test("is woken by what comes after it was stopped or killed behind the daemon's back", async () => {
    await daemon.space("behind");
    const container = docker.getContainer(`${daemon.namespace}-behind`);
    await falls(daemon, "behind", "paused");
    await container.kill();
    expect((await exec(daemon, "behind", "echo killed")).body).toMatchObject({ stdout: "killed" });
    await container.stop({ t: 1 });
    await falls(daemon, "behind", "stopped");
    expect((await exec(daemon, "behind", "echo stopped")).body).toMatchObject({
      stdout: "stopped",
    });
  });

  test("never fails or keeps waiting a request that comes while it falls asleep", async () => {
    const names = Array.from({ length: 6 }, (_, n) => `race${n}`);
    await Promise.all(names.map((name) => daemon.space(name)));
    const kinds: ((space: string, word: string) => Promise<unknown>)[] = [
      async (space, word) => (await exec(daemon, space, `echo ${word}`)).body.stdout === word,
      async (space, word) => {
        const path = `/api/spaces/${space}/file?path=/f`;
        const contentBase64 = Buffer.from(word).toString("base64");
        if ((await ask(daemon, "PUT", path, { contentBase64 })).status !== 200) return "put";
        return (await ask(daemon, "GET", path)).body.contentBase64 === contentBase64;
      },
      async (space, word) => {
        const path = `/api/spaces/${space}/processes`;
        const { body } = await ask(daemon, "POST", path, { command: `echo ${word}` });
        const answer = await daemon.request("GET", `${path}/${body.process.id}/output?follow=1`);
        for await (const line of linesOf(answer)) if (line.data === `${word}\n`) return true;
        return body;
      },
    ];
    await Promise.all(
      names.map(async (space, at) => {
        for (let round = 0; round < 24; round++) {
          // Around the moments at which it is paused, and, every other time, at which it is stopped.
          const sleep = round % 2 === 0 ? "paused" : "stopped";
          const moment = sleep === "paused" ? 300 : 1200;
          await delay(moment + ((round * 37 + at * 61) % 220));
          const kind = kinds[(round + at) % kinds.length];
          expect(await kind?.(space, `${space}-${round}`), `${space}, round ${round}`).toBe(true);
        }
      }),
    );
    const slept = await Promise.all(
      ["space.pause", "space.stop"].map((type) => eventsOf(daemon, `type=${type}&actor=system`)),
    );
    expect(slept[0]?.length).toBeGreaterThan(40);
    expect(slept[1]?.length).toBeGreaterThan(10);
    for (const { meta } of slept.flat()) expect(meta?.outcome).toBe("ok");
  });
});

describe("with IDLE_TIMEOUT_MS=0", () => {
  test("spaces stay awake, but those whose template has a timeout", async () => {
    const daemon = await startDaemon({ IDLE_TIMEOUT_MS: "0" });
    try {
      const yaml = "name: brief\nsleep: { idleTimeout: 1s }\n";
      await ask(daemon, "PUT", "/api/templates", { yaml });
      await daemon.space("stays");
      await daemon.space("brief", { template: "brief" });
      await falls(daemon, "brief", "paused");
      expect(await statusOf(daemon, "stays")).toBe("running");
    } finally {
      await daemon.stop();
    }
  });
});
