import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../support/answers.js";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { eventually, type Line, linesOf } from "../support/processes.js";

const MIB = 1024 ** 2;

/** Writes what looks like the guest agent's own frames, and noise, to whatever it can open. */
const FRAMES = `
import os, glob, random
random.seed(1)
def frames():
    for kind in (0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87):
        for size in (0, 4, 300):
            yield bytes([kind, 3, size & 255, size >> 8, 1, 0, 0, 0]) + random.randbytes(size + 4)
    yield random.randbytes(5000)
paths = glob.glob('/proc/[0-9]*/fd/*') + glob.glob('/dev/fd/*') + glob.glob('/dev/pts/*') + ['/dev/tty', '/dev/console']
written = 0
for path in paths + ['/proc/1/fd/%d' % fd for fd in range(40)]:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        continue
    for frame in frames():
        try: written += os.write(fd, frame)
        except OSError: pass
    os.close(fd)
for fd in range(64):
    for frame in frames():
        try: written += os.write(fd, frame)
        except OSError: break
raise SystemExit(7 if written else 8)
`;

describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("a hostile space by %s", (_what, guest) => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    await daemon.space("hostile", { memory: "256m" });
    await daemon.space("other");
  });
  afterAll(() => daemon?.stop());

  const base = "/api/spaces/hostile/processes";
  const start = async (body: object) => {
    const answer = await ask(daemon, "POST", base, body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    return answer.body.process.id as string;
  };
  const end = async (id: string) => {
    const answer = await ask(daemon, "DELETE", `${base}/${id}`);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  };
  const exec = async (space: string, command: string) =>
    (await ask(daemon, "POST", `/api/spaces/${space}/exec`, { command })).body;
  const expectWell = async (space: string) =>
    expect(await exec(space, "echo well")).toMatchObject({ stdout: "well", exitCode: 0 });
  const residentBytes = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]) * 1024;

  test("that forks without end hurts nobody else, and is ended by its owner", async () => {
    const bomb = ["bash", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1000"];
    const id = await start({ command: bomb });
    for (let count = 0; count < 5; count++) {
      await expectWell("other");
      await delay(200);
    }
    await end(id);
    await eventually(
      () => exec("hostile", "ls -d /proc/[0-9]* | wc -l"),
      ({ stdout }) => Number(stdout) < 20,
    );
    await expectWell("hostile");
  });

  test("that takes all its memory loses the taker alone", async () => {
    const id = await start({
      command: ["python3", "-c", "b = []\nwhile 1: b.append(bytearray(1 << 20))"],
    });
    const { body } = await ask(daemon, "POST", `${base}/${id}/wait`, {});
    expect(body.process).toMatchObject({ status: "exited" });
    expect(body.process.exitCode).not.toBe(0);
    await expectWell("hostile");
    await expectWell("other");
    await end(id);
  });

  test("that floods takes a bounded share of the daemon, read or not", async () => {
    const flood = "yes 012345678901234567890123456789";
    const before = residentBytes();
    const ids = [
      await start({ command: flood }),
      await start({ command: flood, onFull: "block" }),
      await start({ command: `${flood} >&2 & ${flood}`, onFull: "drop" }),
      await start({ command: flood, pty: { cols: 80, rows: 24 } }),
    ];
    // Followers that read nothing, and an exec whose client reads nothing.
    const controller = new AbortController();
    const { signal } = controller;
    await Promise.all(
      ids.map((id) =>
        daemon.request("GET", `${base}/${id}/output?follow=1&from=0`, undefined, { signal }),
      ),
    );
    const headers = { accept: "application/x-ndjson" };
    await daemon.request(
      "POST",
      "/api/spaces/hostile/exec",
      { command: flood },
      { signal, headers },
    );
    for (let count = 0; count < 10; count++) {
      await expectWell("other");
      await delay(200);
    }
    await expectWell("hostile");
    expect(residentBytes() - before).toBeLessThan(150 * MIB);
    controller.abort();
    for (const id of ids) await end(id);
    await eventually(
      () => exec("hostile", "ps -eo args | grep -c '^yes 0123'"),
      ({ stdout }) => stdout === "0",
    );
  });

  test("that writes single bytes to both streams by turns is told apart, and bounded", async () => {
    const before = residentBytes();
    const program = "import os\nfor i in range(150000):\n os.write(1, b'o')\n os.write(2, b'e')";
    const id = await start({ command: ["python3", "-c", program], onFull: "block" });
    let at = 0;
    let out = 0;
    for (let exited = false; !exited; ) {
      const answer = await daemon.request("GET", `${base}/${id}/output?follow=1&from=${at}`);
      for await (const line of linesOf(answer)) {
        if (line.type === "exit") exited = true;
        if (line.type !== "stdout" && line.type !== "stderr") continue;
        expect(line.offset).toBe(at);
        at += line.data.length;
        if (line.type === "stdout") out += line.data.length;
        expect(line.data).toMatch(line.type === "stdout" ? /^o+$/ : /^e+$/);
      }
    }
    expect([at, out]).toEqual([300_000, 150_000]);
    expect(residentBytes() - before).toBeLessThan(150 * MIB);
    const { body } = await ask(daemon, "POST", "/api/spaces/hostile/exec", {
      command: ["python3", "-c", program],
    });
    expect([body.stdout.length, body.stderr.length]).toEqual([150_000, 150_000]);
  });

  test("that writes frames to every descriptor it finds is a program like any other", async () => {
    await exec("hostile", `cat > frames.py <<'END'\n${FRAMES}\nEND`);
    // Something to aim at: a terminal, a process with stdin, one that waits.
    const targets = [
      await start({ command: ["cat"] }),
      await start({ command: "sleep 1000", pty: { cols: 80, rows: 24 } }),
    ];
    for (const pty of [undefined, { cols: 80, rows: 24 }]) {
      const id = await start({ command: ["python3", "frames.py"], ...(pty ? { pty } : {}) });
      const { body } = await ask(daemon, "POST", `${base}/${id}/wait`, { timeoutMs: 60_000 });
      expect(body.process).toMatchObject({ status: "exited", exitCode: 7 });
    }
    await expectWell("hostile");
    await expectWell("other");
    const { processes } = (await ask(daemon, "GET", base)).body;
    const running = processes.filter(
      ({ status, managed }: Line) => managed && status === "running",
    );
    expect(running.map(({ id }: Line) => id).sort()).toEqual([...targets].sort());
    for (const id of targets) await end(id);
  });

  test("that starts and ends many processes keeps the newest of them", async () => {
    for (let round = 0; round < 13; round++) {
      await Promise.all(Array.from({ length: 10 }, () => start({ command: ["true"] })));
    }
    const finished = await eventually(
      async () => (await ask(daemon, "GET", base)).body.processes.filter((p: Line) => p.managed),
      (all) => all.length <= 100 && all.every(({ status }: Line) => status === "exited"),
    );
    expect(finished.length).toBeGreaterThan(80);
  });
});
