import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { ask } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { pipesOf } from "../support/descriptors.js";
import { bytesOf, eventually, type Line, linesOf, pidsOf } from "../support/processes.js";

const KILLS = 5;
let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.space("box", { memory: "512m" });
});
afterAll(() => daemon?.stop());

const base = "/api/spaces/box/processes";
const counter = (name: string) =>
  `i=0; while [ ! -e enough ]; do echo "${name} $i"; i=$((i+1)); sleep 0.2; done; echo "of $i"; exit 6`;

/** Every line that a counter wrote, whichever number it came to. */
function counted(name: string, text: string): string {
  const count = Number(/of (\d+)\s*$/.exec(text)?.[1]);
  const lines = Array.from({ length: count }, (_, index) => `${name} ${index}\n`);
  return `${lines.join("")}of ${count}\n`;
}

/** Follows a process's output over every loss of the connection, to its end. */
async function followed(id: string): Promise<{ text: string; exitCode: number }> {
  const pieces: Buffer[] = [];
  let at = 0;
  for (;;) {
    try {
      const answer = await daemon.request("GET", `${base}/${id}/output?follow=1&from=${at}`);
      expect(answer.status, answer.ok ? "" : await answer.text()).toBe(200);
      for await (const line of linesOf(answer)) {
        expect(line.type).not.toBe("dropped");
        if (line.type === "exit") {
          return { text: Buffer.concat(pieces).toString(), exitCode: line.exitCode };
        }
        if (line.type !== "stdout") continue;
        expect(line.offset).toBe(at);
        const bytes = bytesOf(line);
        pieces.push(bytes);
        at += bytes.length;
      }
    } catch (error) {
      if ((error as Error).name === "AssertionError") throw error;
    }
    await delay(250);
  }
}

test("twenty processes and terminals outlive five kills of the daemon, their output complete", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`);
  const ids = new Map<string, string>();
  for (const [index, name] of names.entries()) {
    if (index < 15) {
      const { status, body } = await ask(daemon, "POST", base, {
        command: counter(name),
        tag: name,
        ...(index >= 10 ? { pty: { cols: 80, rows: 24 } } : {}),
      });
      expect(status, JSON.stringify(body)).toBe(201);
      ids.set(name, body.process.id);
    } else {
      const query = new URLSearchParams({ session: name, command: counter(name), key: daemon.key });
      const url = `${daemon.url.replace("http", "ws")}/api/spaces/box/terminal?${query}`;
      const socket = new WebSocket(url);
      socket.on("error", () => {});
      await new Promise((resolve) => socket.once("message", resolve));
    }
  }
  // What somebody waits for has nobody left to tell once the daemon is gone.
  const waited = daemon.request("POST", "/api/spaces/box/exec", { command: "sleep 9001" });
  waited.catch(() => {});
  await eventually(
    () => pidsOf(daemon, "box", "sleep 9001"),
    (pids) => pids.length === 1,
  );

  const terminals = (await ask(daemon, "GET", "/api/spaces/box/terminals")).body.terminals;
  for (const { session, processId } of terminals) ids.set(session, processId);
  expect([...ids.keys()].sort()).toEqual([...names].sort());

  const following = names.map((name) => followed(ids.get(name) ?? ""));
  for (let kill = 0; kill < KILLS; kill++) {
    await delay(1000);
    await daemon.restart("SIGKILL");
    const { processes } = (await ask(daemon, "GET", base)).body;
    const running = processes.filter(
      ({ status, kind }: Line) => status === "running" && kind !== "exec",
    );
    expect(running.map(({ id }: Line) => id).sort()).toEqual([...ids.values()].sort());
  }
  await ask(daemon, "POST", "/api/spaces/box/exec", { command: "touch enough" });
  const ends = await Promise.all(following);
  for (const [index, name] of names.entries()) {
    const text = ends[index]?.text.replaceAll("\r\n", "\n") ?? "";
    expect(text).toBe(counted(name, text));
    expect(text.split("\n").length).toBeGreaterThan(10);
    expect(ends[index]?.exitCode).toBe(6);
  }
  await eventually(
    () => pidsOf(daemon, "box", "sleep 9001"),
    (pids) => pids.length === 0,
  );
});

test("a time limit holds under the next daemon, and what ended meanwhile is told by it", async () => {
  const start = async (body: object) => (await ask(daemon, "POST", base, body)).body.process.id;
  const limited = await start({ command: "sleep 100", timeoutMs: 3000 });
  const short = await start({ command: "sleep 0.5; echo done; exit 3", tag: "short" });
  await daemon.kill("SIGKILL");
  await delay(1000);
  await daemon.run();
  const wait = async (id: string) =>
    (await ask(daemon, "POST", `${base}/${id}/wait`, {})).body.process;
  expect(await wait(limited)).toMatchObject({ exitCode: 137, timedOut: true });
  expect(await wait(short)).toMatchObject({ exitCode: 3, tag: "short", outputEnd: 5 });
});

test("on the engine's own machine, what a space says passes through no engine, under each daemon anew", async () => {
  const { State } = await docker.getContainer(`${daemon.namespace}-box`).inspect();
  const shared = () => {
    const mine = pipesOf(daemon.pid);
    return pipesOf(State.Pid).filter((pipe) => mine.includes(pipe));
  };
  const command = { command: "echo hello" };
  await ask(daemon, "POST", "/api/spaces/box/exec", command);
  await expect.poll(shared).toHaveLength(2);
  const before = shared();
  await daemon.kill("SIGKILL");
  await expect.poll(() => pipesOf(State.Pid)).not.toContain(before[0]);
  await daemon.run();
  expect((await ask(daemon, "POST", "/api/spaces/box/exec", command)).body.stdout).toBe("hello");
  await expect.poll(shared).toHaveLength(2);
  expect(shared()).not.toEqual(before);
});
