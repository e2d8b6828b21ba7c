import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { bytesOf, eventually, type Line, linesOf, pidsOf } from "../support/processes.js";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon({ IDLE_TIMEOUT_MS: "1500" });
  await daemon.space("box");
});
afterAll(() => daemon?.stop());

const base = "/api/spaces/box/processes";
const start = async (body: object) => {
  const answer = await ask(daemon, "POST", base, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.process;
};
const wait = async (id: string, body: object = {}) =>
  (await ask(daemon, "POST", `${base}/${id}/wait`, body)).body.process;
const output = async (id: string, query = "") => {
  const lines: Line[] = [];
  const answer = await daemon.request("GET", `${base}/${id}/output?${query}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toMatch(/^application\/x-ndjson/);
  for await (const line of linesOf(answer)) lines.push(line);
  return lines;
};
const textOf = (lines: Line[]) =>
  Buffer.concat(lines.filter(({ data }) => data).map((line) => bytesOf(line))).toString();

describe("a background process", () => {
  test("is told of from its start to its end", async () => {
    const begun = await start({ command: ["sh", "-c", "read line; exit 7"], tag: "reader" });
    expect(begun).toMatchObject({
      managed: true,
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      pid: expect.any(Number),
      kind: "background",
      command: ["sh", "-c", "read line; exit 7"],
      tag: "reader",
      cwd: "/workspace",
      user: "sandbox",
      pty: false,
      stdinOpen: true,
      status: "running",
    });
    expect(Math.abs(Date.parse(begun.startedAt) - Date.now())).toBeLessThan(10_000);
    expect(await pidsOf(daemon, "box", "sh -c read line; exit 7")).toEqual([`${begun.pid}`]);
    expect(await wait(begun.id, { timeoutMs: 50 })).toMatchObject({ status: "running" });
    const waiting = wait(begun.id);
    const written = await ask(daemon, "POST", `${base}/${begun.id}/stdin`, { data: "x\n" });
    expect(written.status).toBe(200);
    const ended = await waiting;
    expect(ended).toMatchObject({ id: begun.id, status: "exited", exitCode: 7, stdinOpen: false });
    const got = await ask(daemon, "GET", `${base}/${begun.id}`);
    expect(got.body.process).toEqual(ended);
    expect(await wait(begun.id)).toEqual(ended);
  });

  test("is listed, by its tag too, beside those that the space started itself", async () => {
    const tagged = await start({ command: "sleep 8001 & wait", tag: "tagged" });
    const all = (await ask(daemon, "GET", base)).body.processes;
    expect(all.filter(({ id }: Line) => id === tagged.id)).toHaveLength(1);
    // The sleep belongs to it and is no process of its own.
    expect(JSON.stringify(all)).not.toContain('["sleep","8001"]');
    const byTag = (await ask(daemon, "GET", `${base}?tag=tagged`)).body.processes;
    expect(byTag.map(({ id }: Line) => id)).toEqual([tagged.id]);
    expect((await ask(daemon, "GET", `${base}?tag=other`)).body.processes).toEqual([]);
    const left = "env -u CLAWDSPACE_PROCESS_ID setsid -f sleep 8002";
    await ask(daemon, "POST", "/api/spaces/box/exec", { command: left });
    const others = await eventually(
      async () =>
        (await ask(daemon, "GET", base)).body.processes.filter(({ managed }: Line) => !managed),
      (found) => found.length > 0,
    );
    expect(others).toEqual([
      {
        managed: false,
        pid: expect.any(Number),
        command: ["sleep", "8002"],
        startedAt: expect.any(String),
        status: "running",
      },
    ]);
    await ask(daemon, "POST", "/api/spaces/box/exec", { command: `kill -9 ${others[0].pid}` });
    expect((await ask(daemon, "DELETE", `${base}/${tagged.id}`)).status).toBe(200);
  });

  test("is sent signals, to its group or to all that it started", async () => {
    const command = "trap 'echo usr1' USR1; setsid sleep 8003 & while :; do sleep 0.1; done";
    const { id } = await start({ command });
    await eventually(
      () => pidsOf(daemon, "box", "sleep 8003"),
      (pids) => pids.length === 1,
    );
    const send = (body: object) => ask(daemon, "POST", `${base}/${id}/signal`, body);
    expect((await send({ signal: "usr1" })).status).toBe(200);
    await eventually(
      () => output(id),
      (lines) => textOf(lines).includes("usr1"),
    );
    expect((await send({ signal: "SIGTERM" })).status).toBe(200);
    expect(await wait(id)).toMatchObject({ exitCode: 143, signal: "SIGTERM" });
    expect(await pidsOf(daemon, "box", "sleep 8003")).toHaveLength(1);
    expect((await send({ signal: "TERM", scope: "all" })).status).toBe(200);
    await eventually(
      () => pidsOf(daemon, "box", "sleep 8003"),
      (pids) => pids.length === 0,
    );
    expectError(await send({ signal: "TERM" }), "wrong_state");
    expectError(await send({ signal: "SIGNONSENSE" }), "invalid_request", "signal");
  });

  test("is killed with all that it started, and forgotten", async () => {
    const { id } = await start({ command: "setsid sleep 8004 & env -i sleep 8005 & wait" });
    await eventually(
      () => pidsOf(daemon, "box", "sleep 8004"),
      (pids) => pids.length === 1,
    );
    expect((await ask(daemon, "DELETE", `${base}/${id}`)).status).toBe(200);
    expect(await pidsOf(daemon, "box", "sleep 8004")).toEqual([]);
    expect(await pidsOf(daemon, "box", "sleep 8005")).toEqual([]);
    for (const [method, path, body] of [
      ["GET", "", undefined],
      ["GET", "/output", undefined],
      ["POST", "/wait", {}],
      ["POST", "/stdin", { data: "x" }],
      ["POST", "/signal", { signal: "TERM" }],
      ["DELETE", "", undefined],
    ] as const) {
      expectError(await ask(daemon, method, `${base}/${id}${path}`, body), "not_found");
    }
    expectError(await ask(daemon, "GET", `${base}/1234`), "invalid_request", "id");
  });

  test("takes stdin as text, base64 and raw bytes, until that is closed", async () => {
    const { id } = await start({ command: ["cat"] });
    const stdin = `${base}/${id}/stdin`;
    await ask(daemon, "POST", stdin, { data: "é," });
    await ask(daemon, "POST", stdin, { dataBase64: Buffer.from([0, 255]).toString("base64") });
    await ask(daemon, "POST", stdin, new Uint8Array([1, 254]), {
      headers: { "content-type": "application/octet-stream" },
    });
    await ask(daemon, "POST", stdin, "text ü", { headers: { "content-type": "text/plain" } });
    expectError(await ask(daemon, "POST", stdin, { text: "x" }), "invalid_request");
    expect((await ask(daemon, "POST", `${stdin}/close`)).status).toBe(200);
    expect(await wait(id)).toMatchObject({ exitCode: 0 });
    const bytes = Buffer.concat(
      (await output(id)).filter(({ data }) => data).map((l) => bytesOf(l)),
    );
    expect(bytes.toString("hex")).toBe(
      Buffer.concat([
        Buffer.from("é,"),
        Buffer.from([0, 255, 1, 254]),
        Buffer.from("text ü"),
      ]).toString("hex"),
    );
    expectError(await ask(daemon, "POST", stdin, { data: "x" }), "wrong_state");
  });

  test("in a terminal, knows its size and hears of a new one", async () => {
    const command =
      "stty -echo; stty size; trap 'stty size; exit 9' WINCH; while :; do sleep 0.1; done";
    const { id, pty } = await start({ command, pty: { cols: 101, rows: 31 } });
    expect(pty).toBe(true);
    await eventually(
      () => output(id),
      (lines) => textOf(lines).includes("31 101"),
    );
    const resized = await ask(daemon, "POST", `${base}/${id}/resize`, { cols: 77, rows: 22 });
    expect(resized.status).toBe(200);
    expect(await wait(id)).toMatchObject({ exitCode: 9 });
    expect(textOf(await output(id))).toContain("22 77");
    const plain = await start({ command: "sleep 100" });
    const answer = await ask(daemon, "POST", `${base}/${plain.id}/resize`, { cols: 7, rows: 2 });
    expectError(answer, "unprocessable");
    await ask(daemon, "DELETE", `${base}/${plain.id}`);
  });

  test("keeps its space awake until it ends", async () => {
    const { id } = await start({ command: "sleep 6; echo over" });
    const states = new Set<string>();
    const until = Date.now() + 5000;
    while (Date.now() < until) {
      states.add((await ask(daemon, "GET", "/api/spaces/box")).body.space.status);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect([...states]).toEqual(["running"]);
    await eventually(
      async () => (await ask(daemon, "GET", "/api/spaces/box")).body.space.status,
      (status) => status === "paused",
    );
    // What is known already is told without waking it.
    await ask(daemon, "GET", base);
    expect((await ask(daemon, "GET", "/api/spaces/box")).body.space.status).toBe("paused");
    expect(textOf(await output(id))).toBe("over\n");
    expect((await ask(daemon, "GET", "/api/spaces/box")).body.space.status).toBe("running");
  });
});

describe("its output", () => {
  test("is followed from any offset, and ends with the exit", async () => {
    const { id } = await start({ command: "echo one; sleep 0.5; echo two >&2; exit 5" });
    const lines = await output(id, "follow=true");
    expect(lines).toEqual([
      { type: "stdout", offset: 0, data: "one\n" },
      { type: "stderr", offset: 4, data: "two\n" },
      { type: "exit", offset: 8, exitCode: 5 },
    ]);
    expect(await output(id, "from=5")).toEqual([
      { type: "stderr", offset: 5, data: "wo\n" },
      { type: "exit", offset: 8, exitCode: 5 },
    ]);
    expect(await output(id, "from=8")).toEqual([{ type: "exit", offset: 8, exitCode: 5 }]);
    expectError(await ask(daemon, "GET", `${base}/${id}/output?from=9`), "range_not_satisfiable");
  });

  test("without follow is what there is", async () => {
    const { id } = await start({ command: "echo now; sleep 100" });
    await eventually(
      () => output(id),
      (lines) => lines.length === 2,
    );
    expect(await output(id)).toEqual([
      { type: "stdout", offset: 0, data: "now\n" },
      { type: "more", offset: 4 },
    ]);
    expect(await output(id, "from=4")).toEqual([{ type: "more", offset: 4 }]);
    await ask(daemon, "DELETE", `${base}/${id}`);
  });

  test("text is in whole characters, what is none as base64", async () => {
    const write =
      "import os,time\nfor b in (b'\\xc3', b'\\xa9!', b'\\xff\\xfe', b'ok\\xe2'): os.write(1, b); time.sleep(0.3)";
    const { id } = await start({ command: ["python3", "-c", write] });
    const lines = await output(id, "follow=1");
    expect(lines).toEqual([
      { type: "stdout", offset: 0, data: "é!" },
      { type: "stdout", offset: 3, data: "//4=", encoding: "base64" },
      { type: "stdout", offset: 5, data: "ok" },
      { type: "stdout", offset: 7, data: "4g==", encoding: "base64" },
      { type: "exit", offset: 8, exitCode: 0 },
    ]);
    const encoded = await output(id, "encoding=base64");
    expect(encoded[0]).toEqual({
      type: "stdout",
      offset: 0,
      data: "w6kh//5va+I=",
      encoding: "base64",
    });
  });

  test("that nobody follows is dropped from its beginning, and that is told", async () => {
    const total = 5 * 1024 ** 2;
    const { id } = await start({ command: `head -c ${total} /dev/zero` });
    const { outputStart, outputEnd, exitCode } = await wait(id);
    expect([outputEnd, exitCode]).toEqual([total, 0]);
    expect(outputStart).toBeGreaterThan(total - 2 * 1024 ** 2);
    const lines = await output(id);
    expect(lines[0]).toEqual({ type: "dropped", offset: 0, bytes: outputStart });
    const rest = Buffer.concat(lines.filter(({ data }) => data).map((line) => bytesOf(line)));
    expect(rest.length).toBe(total - outputStart);
    expect(lines.at(-1)).toEqual({ type: "exit", offset: total, exitCode: 0 });
  });

  test("tells its followers of a pause", async () => {
    await daemon.space("paused");
    const path = "/api/spaces/paused/processes";
    const command = "echo begun; sleep 4; echo over";
    const { process } = (await ask(daemon, "POST", path, { command })).body;
    const answer = await daemon.request("GET", `${path}/${process.id}/output?follow=1`);
    const lines: Line[] = [];
    for await (const line of linesOf(answer)) {
      lines.push(line);
      if (line.type === "stdout" && lines.length === 1) {
        await ask(daemon, "POST", "/api/spaces/paused/stop");
        await ask(daemon, "POST", "/api/spaces/paused/start");
      }
    }
    expect(lines.map(({ type, data }) => data ?? type)).toEqual([
      "begun\n",
      "paused",
      "resumed",
      "over\n",
      "exit",
    ]);
  });
});

describe("a time limit", () => {
  test("ends the process and is told", async () => {
    const { id } = await start({ command: "echo x; sleep 100", timeoutMs: 500 });
    expect(await wait(id)).toMatchObject({ status: "exited", exitCode: 137, timedOut: true });
    expect((await output(id)).at(-1)).toMatchObject({ type: "exit", timedOut: true });
  });
});
