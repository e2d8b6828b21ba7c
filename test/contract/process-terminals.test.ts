import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { makeForeignImage, removeImage } from "../support/images.js";
import { eventually, pidsOf } from "../support/processes.js";
import { TerminalClient, terminalStatus } from "../support/terminal.js";

const FOREIGN = "clawdspace-test-terminals:1";

describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("terminals by %s", (_what, guest) => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    await daemon.space("box");
  });
  afterAll(() => daemon?.stop());
  const open = (query?: Record<string, string>, space = "box") =>
    TerminalClient.open(daemon, space, query);
  const exec = async (command: string) =>
    (await ask(daemon, "POST", "/api/spaces/box/exec", { command })).body;

  test("opens for who has the key, to a space that is there", async () => {
    const { key } = daemon;
    expect(await terminalStatus(daemon, "box", { key })).toBe(101);
    expect(await terminalStatus(daemon, "box", { query: { key } })).toBe(101);
    expect(await terminalStatus(daemon, "box", {})).toBe(401);
    expect(await terminalStatus(daemon, "box", { key: "wrong" })).toBe(401);
    expect(await terminalStatus(daemon, "nowhere", { key })).toBe(404);
    for (const query of [{ cols: "0" }, { rows: "x" }, { session: "a b" }])
      expect(await terminalStatus(daemon, "box", { key, query })).toBe(400);
  });

  test("is a login bash in /workspace with a terminal", async () => {
    const terminal = await open({ cols: "100", rows: "40" });
    terminal.type("echo $0 $TERM $(pwd) $(stty size) $(id -un) é\r");
    await terminal.sees(/[\r\n]-?bash xterm-256color \/workspace 40 100 sandbox é\r\n/);
    terminal.type("exit 5\r");
    expect(await terminal.closed).toEqual({ code: 1000, reason: "exited with code 5" });
  });

  test("takes input, sizes and pings as the contract has them, all else as raw input", async () => {
    const terminal = await open();
    await terminal.sees("$ ");
    terminal.socket.send('{"type":"ping"}');
    terminal.socket.send('{"type":"resize","cols":90,"rows":20}');
    terminal.type("stty size\r");
    await terminal.sees(/[\r\n]20 90\r\n/);
    terminal.socket.send("echo raw-text\r");
    await terminal.sees(/[\r\n]raw-text\r\n/);
    terminal.socket.send(Buffer.from("echo raw-bytes\r"));
    await terminal.sees(/[\r\n]raw-bytes\r\n/);
    terminal.socket.send('stty -echo; read -r line; stty echo; echo "<$line>"\r');
    await delay(500);
    terminal.socket.send('{"type":"unknown"}\r');
    await terminal.sees('<{"type":"unknown"}>');
    expect(terminal.texts).toEqual(['{"type":"pong"}']);
    terminal.socket.close();
  });

  test("keys reach the program: interrupt, end of file, job control", async () => {
    const terminal = await open();
    await terminal.sees("$ ");
    terminal.type("sleep 9301\r");
    await eventually(
      () => pidsOf(daemon, "box", "sleep 9301"),
      (pids) => pids.length === 1,
    );
    terminal.type("\x1a");
    await terminal.sees("Stopped");
    terminal.type("fg\r");
    await delay(300);
    terminal.type("\x03");
    terminal.type("echo status=$?\r");
    await terminal.sees(/[\r\n]status=130\r\n/);
    terminal.type("\x04");
    expect((await terminal.closed).code).toBe(1000);
    expect(await pidsOf(daemon, "box", "sleep 9301")).toEqual([]);
  });

  test("ends with its connection; what left the terminal goes on", async () => {
    const terminal = await open();
    await terminal.sees("$ ");
    terminal.type("sleep 9302 & nohup setsid sleep 9303 & sleep 9304\r");
    await eventually(
      () => pidsOf(daemon, "box", "sleep 9304"),
      (pids) => pids.length === 1,
    );
    terminal.socket.terminate();
    for (const command of ["sleep 9302", "sleep 9304"])
      await eventually(
        () => pidsOf(daemon, "box", command),
        (pids) => pids.length === 0,
      );
    expect(await pidsOf(daemon, "box", "sleep 9303")).toHaveLength(1);
    await exec("pkill -f 'sleep 9303'");
    await eventually(
      async () => (await ask(daemon, "GET", "/api/spaces/box/processes")).body.processes,
      (processes) => processes.every(({ kind }: { kind: string }) => kind !== "terminal"),
    );
  });

  test("a command takes the shell's place", async () => {
    const terminal = await open({ command: "tty; echo $((6 * 7)); exit 3" });
    expect(await terminal.closed).toEqual({ code: 1000, reason: "exited with code 3" });
    expect(terminal.text).toMatch(/^\/dev\/pts\/\d+\r\n42\r\n$/);
  });

  test("bytes arrive as they are, in both directions", async () => {
    const bytes = randomBytes(300_000);
    await daemon.json("PUT", "/api/spaces/box/file?path=/bytes", {
      contentBase64: bytes.toString("base64"),
    });
    const down = await open({ command: "stty raw; cat bytes" });
    await down.closed;
    expect(down.output.equals(bytes)).toBe(true);
    const up = await open({ command: "stty raw -echo; echo ready; head -c 300000 | sha256sum" });
    await up.sees("ready");
    for (let at = 0; at < bytes.length; at += 10_000)
      up.socket.send(bytes.subarray(at, at + 10_000));
    await up.closed;
    const { stdout } = await exec("sha256sum <bytes");
    expect(up.text).toContain(stdout);
  });

  test("a flood waits for a client that doesn't read; nobody else does", async () => {
    const terminal = await open({ command: "yes 0123456789012345678901234567890123456789" });
    await terminal.sees("0123");
    const before = residentBytes(daemon.pid);
    terminal.socket.pause();
    await delay(3000);
    expect(residentBytes(daemon.pid) - before).toBeLessThan(100 * 1024 ** 2);
    expect(await exec("echo well")).toMatchObject({ stdout: "well" });
    terminal.socket.resume();
    terminal.type("\x03");
    expect(await terminal.closed).toMatchObject({ code: 1000 });
    expect(await pidsOf(daemon, "box", "yes 0123456789012345678901234567890123456789")).toEqual([]);
  });

  test("input that nobody takes waits too", async () => {
    const terminal = await open({
      command: "stty raw -echo; echo ready; sleep 3; wc -c & sleep 2",
    });
    await terminal.sees("ready");
    const before = residentBytes(daemon.pid);
    for (let count = 0; count < 400; count++) terminal.socket.send(Buffer.alloc(64_000, "x"));
    await delay(2000);
    expect(residentBytes(daemon.pid) - before).toBeLessThan(100 * 1024 ** 2);
    terminal.socket.terminate();
  });

  test("the end of the space ends it with the reason", async () => {
    await daemon.space("doomed");
    const terminal = await open({}, "doomed");
    await terminal.sees("$ ");
    expect((await ask(daemon, "DELETE", "/api/spaces/doomed?removeVolume=true")).status).toBe(200);
    expect((await terminal.closed).code).not.toBe(1006);
  });

  test("what is typed wakes a paused space", async () => {
    const terminal = await open();
    await terminal.sees("$ ");
    const paused = async () => {
      expect((await ask(daemon, "POST", "/api/spaces/box/stop")).status).toBe(200);
      return (await ask(daemon, "GET", "/api/spaces/box")).body.space.status;
    };
    // The end of an earlier test's terminal may come in between, and wakes it.
    await expect.poll(paused, { timeout: 60_000 }).toBe("paused");
    terminal.type("echo a-wake\r");
    await terminal.sees(/[\r\n]a-wake\r\n/);
    terminal.socket.close();
  });

  describe("a session", () => {
    const list = async () =>
      (await ask(daemon, "GET", "/api/spaces/box/terminals")).body.terminals as {
        session: string;
        viewers: number;
      }[];

    test("outlives its connection and shows what was printed", async () => {
      const first = await open({ session: "work", cols: "90", rows: "30" });
      await first.sees("$ ");
      first.type("MINE=yes; echo printed-before\r");
      await first.sees(/[\r\n]printed-before\r\n/);
      first.socket.terminate();
      await eventually(list, ([only]) => only?.viewers === 0);
      const second = await open({ session: "work" });
      await second.sees(/[\r\n]printed-before\r\n/);
      second.type("echo mine=$MINE $(stty size)\r");
      await second.sees(/[\r\n]mine=yes 30 90\r\n/);
      second.type("exit\r");
      expect(await second.closed).toMatchObject({ code: 1000 });
      expect(await list()).toEqual([]);
      // The name is free again.
      const third = await open({ session: "work" });
      await third.sees("$ ");
      expect(third.text).not.toContain("printed-before");
      third.type("exit\r");
      await third.closed;
    });

    test("has any number of viewers, all of whom see and type", async () => {
      const [one, two] = await Promise.all([
        open({ session: "shared" }),
        open({ session: "shared" }),
      ]);
      await Promise.all([one.sees("$ "), two.sees("$ ")]);
      expect(await list()).toMatchObject([{ session: "shared", viewers: 2 }]);
      one.type("echo from-one\r");
      await Promise.all([one, two].map((each) => each.sees(/[\r\n]from-one\r\n/)));
      two.type("echo from-two\r");
      await Promise.all([one, two].map((each) => each.sees(/[\r\n]from-two\r\n/)));
      const ended = await ask(daemon, "DELETE", "/api/spaces/box/terminals/shared");
      expect(ended.status).toBe(200);
      for (const each of [one, two]) expect((await each.closed).code).toBe(1000);
      const again = await ask(daemon, "DELETE", "/api/spaces/box/terminals/shared");
      expectError(again, "not_found");
    });

    test("shows the last 256 KiB and asks nothing twice", async () => {
      const first = await open({ session: "long" });
      await first.sees("$ ");
      // A question to the terminal in the middle of what will be shown again.
      first.type("seq 1 100000; printf 'q\\033[6nq'; seq 7 9; echo END\r");
      await first.sees(/[\r\n]END\r\n/);
      first.socket.terminate();
      const second = await open({ session: "long" });
      const text = await second.sees(/[\r\n]END\r\n/);
      expect(text.length).toBeLessThanOrEqual(256 * 1024);
      expect(text.length).toBeGreaterThan(250 * 1024);
      expect(text).toMatch(/^\d+\r\n/);
      expect(text).toContain("99999\r\n100000\r\nqq7\r\n8\r\n9\r\nEND\r\n");
      await ask(daemon, "DELETE", "/api/spaces/box/terminals/long");
    });

    test("goes on while nobody looks", async () => {
      const first = await open({
        session: "busy",
        command: "head -c 5000000 /dev/zero; echo; exec cat",
      });
      first.socket.terminate();
      await eventually(
        () => pidsOf(daemon, "box", "cat"),
        (pids) => pids.length === 1,
      );
      await ask(daemon, "DELETE", "/api/spaces/box/terminals/busy");
    });
  });
});

describe("by the guest agent", () => {
  let daemon: Daemon;
  beforeAll(async () => {
    await makeForeignImage(FOREIGN, { workspace: true, passwd: true });
    daemon = await startDaemon();
  });
  afterAll(async () => {
    await daemon?.stop();
    await removeImage(FOREIGN);
  });

  test("an image without bash gets the shell that it has", async () => {
    await daemon.space("foreign", { image: FOREIGN });
    const terminal = await TerminalClient.open(daemon, "foreign");
    await terminal.sees("$ ");
    terminal.type("echo shell=$0 $PWD\r");
    await terminal.sees(/[\r\n]shell=-?(\/bin\/)?sh \/workspace\r\n/);
    terminal.type("exit 4\r");
    expect(await terminal.closed).toEqual({ code: 1000, reason: "exited with code 4" });
  });

  test("a session outlives the daemon, a plain terminal ends with it", async () => {
    await daemon.space("box");
    const session = await TerminalClient.open(daemon, "box", { session: "kept" });
    await session.sees("$ ");
    session.type("KEPT=$$; echo pid=$KEPT\r");
    const [, pid] = /pid=(\d+)/.exec(await session.sees(/[\r\n]pid=\d+\r\n/)) ?? [];
    const plain = await TerminalClient.open(daemon, "box", { command: "sleep 9401" });
    await eventually(
      () => pidsOf(daemon, "box", "sleep 9401"),
      (pids) => pids.length > 0,
    );
    await daemon.restart("SIGKILL");
    expect((await plain.closed).code).toBe(1006);
    const again = await TerminalClient.open(daemon, "box", { session: "kept" });
    await again.sees(`pid=${pid}`);
    again.type("echo still=$KEPT\r");
    await again.sees(`still=${pid}\r\n`);
    await eventually(
      () => pidsOf(daemon, "box", "sleep 9401"),
      (pids) => pids.length === 0,
    );
    again.socket.close();
  });
});

const residentBytes = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
