import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GuestConnection } from "../../api/src/guest/index.js";
import { collect, ENV, shell, TestGuest, until } from "./support.js";

let guest: TestGuest;
let connection: GuestConnection;

beforeAll(async () => {
  guest = new TestGuest();
  connection = await guest.open();
});

afterAll(async () => {
  connection.close();
  await guest.stop();
});

/** Pids of processes whose environment carries an id. */
function marked(id: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(
          `CLAWDSPACE_PROCESS_ID=${id}`,
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe("start and output", () => {
  test("tells stdout, stderr and the exit code apart", async () => {
    const { output } = connection.run(shell("echo out; echo err >&2; exit 7"));
    const result = await collect(output);
    expect(result.stdout.toString()).toBe("out\n");
    expect(result.stderr.toString()).toBe("err\n");
    expect(result.exit).toMatchObject({ exitCode: 7, offset: 8 });
    expect(result.exit.maxRssBytes).toBeGreaterThan(0);
  });

  test("gives the program exactly what was asked for", async () => {
    const { output, id } = connection.run({
      ...shell("pwd; env"),
      env: { PATH: ENV.PATH, A: "x\ny z" },
      cwd: "/usr",
    });
    const text = (await collect(output)).stdout.toString();
    expect(text).toContain("/usr\n");
    expect(text).toContain("A=x\ny z\n");
    expect(text).toContain(`CLAWDSPACE_PROCESS_ID=${id}\n`);
    expect(text).not.toContain("HOME=");
  });

  test("hands down no descriptors, no blocked and no ignored signals", async () => {
    const { output } = connection.run(
      shell("ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign)' /proc/self/status"),
    );
    const text = (await collect(output)).stdout.toString();
    // 3 is ls's own, of the folder that it reads.
    expect(text).toMatch(/^0 1 2 3 /);
    expect(text).toMatch(/SigBlk:\s+0{16}/);
    expect(text).toMatch(/SigIgn:\s+0{16}/);
  });

  test("leads a session and a group of its own", async () => {
    const { output, started } = connection.run(shell("cat /proc/self/stat | cut -d' ' -f 5,6"));
    const { pid } = await started;
    expect((await collect(output)).stdout.toString()).toBe(`${pid} ${pid}\n`);
  });

  test("reports signals as 128 + n with their name", async () => {
    const result = await collect(connection.run(shell("kill -SEGV $$")).output);
    expect(result.exit).toMatchObject({ exitCode: 139, signal: "SIGSEGV" });
  });

  test("says which step of a start failed", async () => {
    const base = { env: ENV, cwd: "/", onFull: "block" as const };
    await expect(connection.start({ ...base, argv: ["no-such-command"] })).rejects.toMatchObject({
      code: "not_found",
      details: { step: "exec", errno: "ENOENT" },
    });
    await expect(connection.start({ ...base, argv: ["/etc/passwd"] })).rejects.toMatchObject({
      code: "permission",
      details: { step: "exec" },
    });
    await expect(
      connection.start({ ...base, argv: ["true"], cwd: "/no/such/folder" }),
    ).rejects.toMatchObject({ code: "not_found", details: { step: "cwd" } });
    // The output of a run that never started tells the same, not "no such process".
    const { output } = connection.run({ ...base, argv: ["no-such-command"] });
    await expect(collect(output)).rejects.toMatchObject({ details: { step: "exec" } });
  });

  test("takes a command of 100 KB and words that are not UTF-8", async () => {
    const long = "x".repeat(100_000);
    const { output } = connection.run({
      ...shell('printf %s "$1$2"'),
      argv: ["sh", "-c", 'printf %s "$1$2"', "sh", long, Buffer.from([0xff, 0xfe])],
    });
    const { stdout } = await collect(output);
    expect(stdout.length).toBe(100_002);
    expect(stdout.subarray(-2)).toEqual(Buffer.from([0xff, 0xfe]));
  });

  test("starts nothing twice for one id", async () => {
    const id = "0123456789abcdef0123456789abcdef";
    const first = await connection.start({ ...shell("echo once"), id });
    const second = await connection.start({ ...shell("echo once"), id });
    expect(second.pid).toBe(first.pid);
    const result = await collect(connection.output(id, 0));
    expect(result.stdout.toString()).toBe("once\n");
  });

  test("applies resource limits", async () => {
    const { output } = connection.run({
      ...shell("ulimit -n"),
      limits: [{ resource: "nofile", soft: 77, hard: 77 }],
    });
    expect((await collect(output)).stdout.toString()).toBe("77\n");
  });

  test("runs sixty at once", async () => {
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, i) => collect(connection.run(shell(`echo ${i}`)).output)),
    );
    expect(results.map((result) => result.stdout.toString())).toEqual(
      Array.from({ length: 60 }, (_, i) => `${i}\n`),
    );
  });

  test("a child that holds stdout doesn't keep the exit from being told, and goes on", async () => {
    const { output, id } = connection.run(
      shell("(trap '' HUP; while :; do echo tick; sleep 0.05; done) & echo parent"),
    );
    const result = await collect(output);
    expect(result.stdout.toString()).toContain("parent\n");
    // Its output has no reader any more, yet it lives: neither stopped by a full pipe nor killed by a closed one.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(marked(id).length).toBeGreaterThan(0);
    expect(await connection.signal(id, "SIGKILL", "all")).toBeGreaterThan(0);
    expect(marked(id)).toEqual([]);
  });

  test("waits a little for what a finished process's children still say", async () => {
    const { output } = connection.run({
      ...shell("(sleep 0.1; echo late) & echo early"),
      lingerMs: 5000,
    });
    expect((await collect(output)).stdout.toString()).toBe("early\nlate\n");
  });

  test("forgets", async () => {
    const { output, id } = connection.run(shell("true"));
    await collect(output);
    await connection.forget(id);
    await expect(collect(connection.output(id, 0))).rejects.toMatchObject({ code: "not_found" });
    await connection.forget(id);
  });

  test("lists with what the daemon kept there", async () => {
    const meta = Buffer.from([0, 255, 1]);
    const { id, pid } = await connection.start({
      ...shell("echo hello; read x"),
      stdin: true,
      meta,
    });
    await until("its output is there", async () =>
      (await connection.list()).some((info) => info.id === id && info.outputEnd === 6),
    );
    const info = (await connection.list()).find((one) => one.id === id);
    expect(info).toMatchObject({ pid, stdinOpen: true, pty: false, outputStart: 0, meta });
    expect(info?.exit).toBeUndefined();
    expect(Math.abs((info?.startedAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    await connection.closeStdin(id);
    await collect(connection.output(id, 0));
    const after = (await connection.list()).find((one) => one.id === id);
    expect(after).toMatchObject({ stdinOpen: false, exit: { exitCode: 1 } });
  });
});

describe("stdin", () => {
  test("a megabyte goes in and comes out", async () => {
    const data = Buffer.alloc(1 << 20, "0123456789abcdef\n");
    const { output, id, started } = connection.run({ ...shell("cat"), stdin: true });
    await started;
    const reading = collect(output);
    await connection.writeStdin(id, data);
    await connection.closeStdin(id);
    expect((await reading).stdout.equals(data)).toBe(true);
  });

  test("is empty where it was not asked for", async () => {
    expect((await collect(connection.run(shell("cat; echo end")).output)).stdout.toString()).toBe(
      "end\n",
    );
  });

  test("is closed where nobody reads it any more", async () => {
    const { output, id } = connection.run({ ...shell("exec <&-; sleep 0.2"), stdin: true });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const flood = connection.writeStdin(id, Buffer.alloc(1 << 20));
    await expect(flood).rejects.toMatchObject({ code: "closed" });
    await collect(output);
    await expect(connection.writeStdin(id, Buffer.from("x"))).rejects.toMatchObject({
      code: "closed",
    });
    await connection.closeStdin(id);
  });

  test("a process that doesn't read holds up its own writer alone", async () => {
    const { id } = await connection.start({ ...shell("sleep 60"), stdin: true });
    let done = false;
    const writing = connection.writeStdin(id, Buffer.alloc(1 << 20)).then(
      () => {
        done = true;
      },
      () => {},
    );
    for (let i = 0; i < 20; i++) await connection.ping();
    expect(done).toBe(false);
    await connection.signal(id, "SIGKILL", "group");
    await writing;
  });
});

describe("signals", () => {
  test("reach the group", async () => {
    const { output, id, started } = connection.run(
      shell("trap 'echo got; exit 3' TERM; echo up; sleep 60 & wait"),
    );
    await started;
    const iterator = output[Symbol.asyncIterator]();
    await iterator.next();
    expect(await connection.signal(id, "SIGTERM", "group")).toBe(1);
    const result = await collect({ [Symbol.asyncIterator]: () => iterator });
    expect(result.exit.exitCode).toBe(3);
    expect(result.stdout.toString()).toBe("got\n");
  });

  test("all of it ends what called setsid, and their children", async () => {
    const { id } = await connection.start(
      shell("setsid sh -c 'sleep 61 & setsid sleep 62 & sleep 63' & setsid -f sleep 64; sleep 65"),
    );
    await until("five sleep", () => marked(id).length >= 6);
    expect(await connection.signal(id, "SIGKILL", "all")).toBeGreaterThanOrEqual(6);
    expect(marked(id)).toEqual([]);
    expect((await collect(connection.output(id, 0))).exit).toMatchObject({ signal: "SIGKILL" });
  });

  test("all of it works after the process itself has ended", async () => {
    const { id, output } = connection.run(shell("setsid -f sleep 66; setsid -f sleep 67"));
    await collect(output);
    await until("two sleep", () => marked(id).length === 2);
    expect(await connection.signal(id, "SIGKILL", "all")).toBe(2);
    expect(marked(id)).toEqual([]);
    await expect(connection.signal(id, "SIGTERM", "group")).rejects.toMatchObject({
      code: "closed",
    });
  });
});

describe("terminals", () => {
  test("have a size, change it, and know their keys", async () => {
    const { id, output } = connection.run({
      ...shell('tty; stty size; read line; stty size; echo "[$line]"'),
      pty: { cols: 91, rows: 33 },
    });
    const iterator = output[Symbol.asyncIterator]();
    let text = "";
    while (!text.includes("33 91")) {
      const { value } = await iterator.next();
      if (value?.type === "stdout") text += value.data.toString();
    }
    expect(text).toMatch(/\/dev\/pts\/\d+/);
    await connection.resize(id, 120, 40);
    await connection.writeStdin(id, Buffer.from("häl\u007flo\r"));
    const rest = await collect({ [Symbol.asyncIterator]: () => iterator });
    expect(rest.stdout.toString()).toContain("40 120");
    expect(rest.stdout.toString()).toContain("[hälo]");
    expect(rest.exit.exitCode).toBe(0);
  });

  test("deliver Ctrl-C to the foreground and their end-of-file to a reader", async () => {
    const spec = { pty: { cols: 80, rows: 24 }, env: ENV, cwd: "/", onFull: "follow" as const };
    const sleeping = connection.run({ ...spec, argv: ["sleep", "60"] });
    await sleeping.started;
    await connection.writeStdin(sleeping.id, Buffer.from([3]));
    expect((await collect(sleeping.output)).exit).toMatchObject({ signal: "SIGINT" });
    const reading = connection.run({ ...spec, argv: ["cat"] });
    await reading.started;
    await connection.writeStdin(reading.id, Buffer.from("text\r"));
    await connection.closeStdin(reading.id);
    const result = await collect(reading.output);
    expect(result.stdout.toString()).toBe("text\r\ntext\r\n");
    expect(result.exit.exitCode).toBe(0);
  });

  test("take more input than the kernel's line buffer", async () => {
    const { id, output, started } = connection.run({
      ...shell("stty raw -echo; echo ready; head -c 300000 | sha256sum"),
      pty: { cols: 80, rows: 24 },
    });
    await started;
    const iterator = output[Symbol.asyncIterator]();
    await iterator.next();
    const data = Buffer.alloc(300_000, "abcdefghij");
    await connection.writeStdin(id, data);
    const { createHash } = await import("node:crypto");
    const rest = await collect({ [Symbol.asyncIterator]: () => iterator });
    expect(rest.stdout.toString()).toContain(createHash("sha256").update(data).digest("hex"));
  });
});
