import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";

const NDJSON = { accept: "application/x-ndjson" };

// The same promises, whether the guest agent runs a command or, where it can't, an exec of the engine.
describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("exec by %s", (_what, guest) => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    await daemon.space("box", { env: { SPACE: "own", SECRET: "s3cret" } });
  });
  afterAll(() => daemon.stop());

  const exec = async (body: object, space = "box") => {
    const answer = await ask(daemon, "POST", `/api/spaces/${space}/exec`, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body;
  };
  const run = async (command: string | string[], options: object = {}) =>
    await exec({ command, ...options });

  /** Follows an exec; each event as it comes. */
  async function* follow(body: object, init: RequestInit = {}) {
    const answer = await daemon.request("POST", "/api/spaces/box/exec", body, {
      ...init,
      headers: NDJSON,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^application\/x-ndjson/);
    if (!answer.body) return;
    const input = Readable.fromWeb(answer.body as import("node:stream/web").ReadableStream);
    for await (const line of createInterface({ input })) yield JSON.parse(line);
  }

  /** How many processes of the space have this text in their command line. */
  const alive = async (marker: string) => {
    const { stdout } = await run(
      `for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q "^sleep ${marker}" && echo x; done; true`,
    );
    return stdout.split("\n").filter(Boolean).length;
  };

  describe("what runs", () => {
    test("a string by sh -c, an array as it is", async () => {
      expect(await run("echo $((1+2)) | cat")).toEqual({ stdout: "3", stderr: "", exitCode: 0 });
      expect(await run(["echo", "$((1+2)) | cat"])).toMatchObject({ stdout: "$((1+2)) | cat" });
      const odd = ["printf", "<%s>", "", "a b", "'\"\\", "$HOME", "*", "ü\n☃", "-n"];
      expect((await run(odd)).stdout).toBe("<><a b><'\"\\><$HOME><*><ü\n☃><-n>");
    });

    test("as the user sandbox, in /workspace, with a home, a path and UTF-8", async () => {
      expect((await run("id -u; id -g; id -un; pwd; echo $HOME $USER $LANG")).stdout).toMatch(
        /^1001\n1001\nsandbox\n\/workspace\n\/\S+ sandbox \S*UTF-8$/,
      );
      const tools = "for tool in git node python3 bash; do command -v $tool; done | wc -l";
      expect(await run(tools)).toMatchObject({ stdout: "4" });
    });

    test("stdout comes without its last newline, stderr apart from it", async () => {
      expect(await run("echo a; echo b; echo c >&2")).toEqual({
        stdout: "a\nb",
        stderr: expect.stringMatching(/^c\n?$/),
        exitCode: 0,
      });
      expect((await run("printf 'a\\n\\n'")).stdout).toBe("a\n");
      expect((await run("printf a")).stdout).toBe("a");
    });

    test.each([
      ["exit 0", 0],
      ["exit 7", 7],
      ["exit 255", 255],
      ["false", 1],
      ["kill -TERM $$", 143],
      ["kill -KILL $$", 137],
      ["kill -INT $$", 130],
      ["kill -SEGV $$", 139],
      ["no-such-program", 127],
    ])("%s exits with %i", async (command, exitCode) => {
      expect(await run(command)).toMatchObject({ exitCode });
    });

    test("a program that isn't there or can't be run ends as a shell would say it", async () => {
      expect(await run(["no-such-program", "x"])).toMatchObject({
        exitCode: 127,
        stderr: expect.stringContaining("no-such-program"),
      });
      await run("echo x > plain; chmod 644 plain");
      expect(await run(["./plain"])).toMatchObject({ exitCode: 126 });
    });
  });

  describe("options", () => {
    test("cwd is absolute, or relative to /workspace", async () => {
      await run("mkdir -p 'a b/c'");
      expect((await run("pwd", { cwd: "/tmp" })).stdout).toBe("/tmp");
      expect((await run("pwd", { cwd: "a b/c" })).stdout).toBe("/workspace/a b/c");
      expect((await run("pwd", { cwd: "/" })).stdout).toBe("/");
    });

    test("env is added to the space's own, and wins", async () => {
      const command = 'echo "$SPACE|$SECRET|$NEW"';
      expect((await run(command)).stdout).toBe("own|s3cret|");
      const env = { SPACE: "other", NEW: "x = 'y' \"z\"\n☃" };
      expect((await run(command, { env })).stdout).toBe(`other|s3cret|${env.NEW}`);
      expect((await run(command)).stdout).toBe("own|s3cret|");
    });

    test("stdin is text or bytes of any size, and ends", async () => {
      expect((await run("cat", { stdin: "text ☃\n" })).stdout).toBe("text ☃");
      expect((await run("cat", { stdin: "" })).stdout).toBe("");
      expect((await run("wc -c")).stdout).toBe("0");
      const bytes = Buffer.from([0, 1, 255, 10, 13, 0, 128]);
      const echoed = await run("cat", {
        stdinBase64: bytes.toString("base64"),
        encoding: "base64",
      });
      expect(Buffer.from(echoed.stdout, "base64")).toEqual(bytes);
      const large = Buffer.alloc(6 * 1024 ** 2, "0123456789abcde\n");
      expect((await run("wc -c", { stdinBase64: large.toString("base64") })).stdout).toBe(
        `${large.length}`,
      );
      expect(await run("true", { stdinBase64: large.toString("base64") })).toMatchObject({
        exitCode: 0,
      });
    });

    test("timeoutMs ends everything that the command started, and tells what was printed", async () => {
      const marker = "41.25";
      const command = `echo before; sleep ${marker} & (setsid sleep ${marker} &) ; sleep ${marker}; echo after`;
      const began = Date.now();
      expect(await run(command, { timeoutMs: 400 })).toEqual({
        stdout: "before",
        stderr: "",
        exitCode: 137,
        timedOut: true,
      });
      expect(Date.now() - began).toBeLessThan(10_000);
      await expect.poll(() => alive(marker), { timeout: 5000 }).toBe(0);
    });

    test("a command that is done in time has no timedOut", async () => {
      expect(await run("echo x", { timeoutMs: 60_000 })).toEqual({
        stdout: "x",
        stderr: "",
        exitCode: 0,
      });
    });

    test("maxOutputBytes cuts each stream, counts the rest and blocks nobody", async () => {
      const command = "head -c 300000 /dev/zero | tr '\\0' a; head -c 7 /dev/zero | tr '\\0' b >&2";
      expect(await run(command, { maxOutputBytes: 5 })).toEqual({
        stdout: "aaaaa",
        stderr: "bbbbb",
        exitCode: 0,
        stdoutTruncatedBytes: 299_995,
        stderrTruncatedBytes: 2,
      });
      expect(await run("echo abc", { maxOutputBytes: 0 })).toEqual({
        stdout: "",
        stderr: "",
        exitCode: 0,
        stdoutTruncatedBytes: 4,
      });
      expect(await run("printf 12345", { maxOutputBytes: 5 })).toEqual({
        stdout: "12345",
        stderr: "",
        exitCode: 0,
      });
    });

    test("without it a stream is cut at 10 MiB", async () => {
      const { stdout, stdoutTruncatedBytes } = await run("head -c 12000000 /dev/zero | tr '\\0' x");
      expect(stdout.length).toBe(10 * 1024 ** 2);
      expect(stdoutTruncatedBytes).toBe(12_000_000 - 10 * 1024 ** 2);
    });

    test("encoding base64 gives the bytes as they are", async () => {
      const { stdout, stderr } = await run("printf '\\377\\000\\n'; printf '\\376' >&2", {
        encoding: "base64",
      });
      expect(Buffer.from(stdout, "base64")).toEqual(Buffer.from([255, 0, 10]));
      expect(Buffer.from(stderr, "base64")).toEqual(Buffer.from([254]));
    });

    test("user root only where the template allows it", async () => {
      const answer = await ask(daemon, "POST", "/api/spaces/box/exec", {
        command: "id -u",
        user: "root",
      });
      expectError(answer, "forbidden");
      expect((await run("id -u", { user: "sandbox" })).stdout).toBe("1001");
      const yaml = "name: rooted\nsecurity:\n  allowRoot: true\n";
      expect((await ask(daemon, "PUT", "/api/templates", { yaml })).status).toBe(200);
      await daemon.space("rooted", { template: "rooted" });
      const body = { command: "id -u; touch /etc/made; pwd", user: "root" };
      expect(await exec(body, "rooted")).toEqual({
        stdout: "0\n/workspace",
        stderr: "",
        exitCode: 0,
      });
      expect((await exec({ command: "id -u" }, "rooted")).stdout).toBe("1001");
    });
  });

  describe("as a stream", () => {
    test("output comes as it is printed, with offsets, and the exit at the end", async () => {
      const events = [];
      for await (const event of follow({ command: "echo out; sleep 0.2; echo err >&2; exit 3" }))
        events.push(event);
      expect(events).toEqual([
        { type: "stdout", data: "out\n", offset: 0 },
        { type: "stderr", data: "err\n", offset: 4 },
        { type: "exit", exitCode: 3 },
      ]);
    });

    test("a character is never split, however its bytes come", async () => {
      const command =
        'for b in 342 230 203 360 237 246 236 141; do printf "\\\\$b"; sleep 0.05; done';
      const pieces = [];
      for await (const event of follow({ command })) {
        if (event.type === "stdout") pieces.push(event.data);
      }
      expect(pieces.join("")).toBe("☃🦞a");
      expect(pieces.length).toBeGreaterThan(1);
      for (const piece of pieces) expect(piece).not.toContain("\ufffd");
    });

    test("a large text arrives whole and unbroken", async () => {
      const text = "☃🦞ü".repeat(40_000);
      let received = "";
      let bytes = 0;
      for await (const event of follow({ command: "cat", stdin: text })) {
        if (event.type !== "stdout") continue;
        received += event.data;
        expect(event.offset).toBeLessThanOrEqual(Buffer.byteLength(received));
        bytes = Buffer.byteLength(received);
      }
      expect(bytes).toBe(Buffer.byteLength(text));
      expect(received === text).toBe(true);
    });

    test("base64 gives the bytes, offsets count them", async () => {
      const bytes = [];
      let end = 0;
      for await (const event of follow({
        command: "head -c 200000 /dev/zero; printf '\\377'",
        encoding: "base64",
      })) {
        if (event.type !== "stdout") continue;
        expect(event.offset).toBe(end);
        const data = Buffer.from(event.data, "base64");
        end += data.length;
        bytes.push(data);
      }
      expect(Buffer.concat(bytes)).toEqual(
        Buffer.concat([Buffer.alloc(200_000), Buffer.from([255])]),
      );
    });

    test("maxOutputBytes and timeoutMs hold here too", async () => {
      const events = [];
      for await (const event of follow({
        command: "printf 123456789; sleep 30",
        maxOutputBytes: 4,
        timeoutMs: 500,
      }))
        events.push(event);
      expect(events).toEqual([
        { type: "stdout", data: "1234", offset: 0 },
        { type: "exit", exitCode: 137, timedOut: true, stdoutTruncatedBytes: 5 },
      ]);
    });

    test("a space that is removed meanwhile ends it, as killed or with the reason", async () => {
      await daemon.space("doomed");
      const answer = await daemon.request(
        "POST",
        "/api/spaces/doomed/exec",
        { command: "echo begun; sleep 60" },
        { headers: NDJSON },
      );
      const reader = answer.body?.getReader();
      const first = await reader?.read();
      expect(Buffer.from(first?.value ?? []).toString()).toContain("begun");
      expect((await ask(daemon, "DELETE", "/api/spaces/doomed?removeVolume=true")).status).toBe(
        200,
      );
      let rest = "";
      for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
        rest += Buffer.from(next.value).toString();
      }
      const last = JSON.parse(rest.trim().split("\n").at(-1) ?? "");
      // An exec of the engine tells of its end by itself; the guest agent goes with its space.
      if (last.type === "exit") expect(last).toEqual({ type: "exit", exitCode: 137 });
      else expect(last).toMatchObject({ type: "error", code: "wrong_state" });
    });
  });

  describe("a client that goes away", () => {
    test.each([
      ["an answer", {}],
      ["a stream", NDJSON],
    ])("waiting for %s ends the command and what it started", async (_what, headers) => {
      const marker = headers === NDJSON ? "43.25" : "42.25";
      const abort = new AbortController();
      const request = daemon
        .request(
          "POST",
          "/api/spaces/box/exec",
          { command: `(setsid sleep ${marker} &); sleep ${marker}` },
          { headers, signal: abort.signal },
        )
        .then((answer) => answer.text())
        .catch(() => "aborted");
      await expect.poll(() => alive(marker), { timeout: 10_000 }).toBe(2);
      abort.abort();
      expect(await request).toBe("aborted");
      await expect.poll(() => alive(marker), { timeout: 10_000 }).toBe(0);
    });

    test("in the middle of a flood ends it too", async () => {
      const abort = new AbortController();
      const events = follow({ command: "exec yes sleep 44.25" }, { signal: abort.signal });
      await events.next();
      abort.abort();
      // What had arrived already may still be read, then the stream breaks.
      const rest = async () => {
        for await (const event of events) expect(event.type).toBe("stdout");
      };
      await expect(rest()).rejects.toThrow();
      await expect
        .poll(async () => (await run("pgrep -xc yes; true")).stdout, { timeout: 10_000 })
        .toBe("0");
    });

    test("a slow one gets everything, at its pace", async () => {
      const size = 3_000_000;
      let bytes = 0;
      let pieces = 0;
      for await (const event of follow({ command: `head -c ${size} /dev/zero | tr '\\0' s` })) {
        if (event.type !== "stdout") continue;
        bytes += event.data.length;
        if (++pieces % 10 === 0) await delay(5);
      }
      expect(bytes).toBe(size);
    });
  });

  test("sixteen at once each get their own answer", async () => {
    const results = await Promise.all(
      Array.from({ length: 16 }, (_, index) => run(`sleep 0.1; echo ${index}; exit ${index}`)),
    );
    expect(results).toEqual(
      results.map((_, index) => ({ stdout: `${index}`, stderr: "", exitCode: index })),
    );
  });

  test("a background child that keeps the output open doesn't hold the answer", async () => {
    const began = Date.now();
    expect(await run("sleep 45.25 & echo done")).toMatchObject({ stdout: "done", exitCode: 0 });
    expect(Date.now() - began).toBeLessThan(20_000);
    await run("pkill -f 'sleep 45.25'; true");
  });

  test("secrets of the space are in no configuration of its container", async () => {
    const container = docker.getContainer(`${daemon.namespace}-box`);
    expect(JSON.stringify(await container.inspect())).not.toContain("s3cret");
  });

  test("a container that was stopped behind the daemon's back is started for a command", async () => {
    await daemon.space("halted");
    await exec({ command: "echo kept > kept" }, "halted");
    const container = docker.getContainer(`${daemon.namespace}-halted`);
    await container.stop({ t: 1 });
    await expect
      .poll(async () => (await ask(daemon, "GET", "/api/spaces/halted")).body.space.status)
      .toBe("stopped");
    expect(await exec({ command: "cat kept" }, "halted")).toMatchObject({ stdout: "kept" });
  });
});
