import { randomBytes } from "node:crypto";
import { readdirSync, readlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { pipesOf } from "../../../test/support/descriptors.js";
import { encodeHello, HelloScanner, NONCE_SIZE } from "../../api/src/guest/frames.js";
import type { GuestConnection } from "../../api/src/guest/index.js";
import type { GuestPipes } from "../../api/src/guest/types.js";
import { openHostPipes } from "../../api/src/processes/host-pipes.js";
import { collect, ENV, shell, TestGuest, until } from "./support.js";

// Beside the engine's streams the agent has pipes that a daemon on the same machine opens. These tests need root, as that does.

let guest: TestGuest;
let connection: GuestConnection;

beforeEach(async () => {
  guest = new TestGuest();
  connection = await guest.open();
});

afterEach(async () => {
  connection.close();
  await guest.stop();
});

const hasMoved = () => guest.moved > 0 && guest.links === 0;

describe("in the middle of what goes on", () => {
  test("output goes on without loss or repeat", async () => {
    const lines = 400_000;
    const { output } = connection.run({
      argv: ["seq", "-w", "1", `${lines}`],
      env: ENV,
      cwd: "/",
      onFull: "block",
    });
    const parts: Buffer[] = [];
    for await (const item of output) {
      if (item.type === "exit") break;
      if (item.type !== "stdout") throw new Error(`unexpected: ${item.type}`);
      if (parts.length === 3) connection.preferPipes(guest.openPipes);
      parts.push(item.data);
    }
    expect(hasMoved()).toBe(true);
    expect(guest.attached).toBe(1);
    const said = Buffer.concat(parts).toString().trimEnd().split("\n");
    expect(said).toHaveLength(lines);
    expect(said.every((line, index) => Number(line) === index + 1)).toBe(true);
  });

  test("input goes on without loss or repeat", async () => {
    const data = randomBytes(4 << 20);
    const { id, output, started } = connection.run({ ...shell("cat"), stdin: true });
    await started;
    const reading = collect(output);
    for (let at = 0; at < data.length; at += 40_000) {
      if (at === 400_000) connection.preferPipes(guest.openPipes);
      await connection.writeStdin(id, data.subarray(at, at + 40_000));
    }
    await connection.closeStdin(id);
    const { stdout } = await reading;
    expect(stdout.equals(data)).toBe(true);
    expect(hasMoved()).toBe(true);
  });

  test("a file is written and read whole", async () => {
    const data = randomBytes(20 << 20);
    const { stream, result } = connection.files.write("/big", {});
    for (let at = 0; at < data.length; at += 1 << 20) {
      if (at === 2 << 20) connection.preferPipes(guest.openPipes);
      if (!stream.write(data.subarray(at, at + (1 << 20)))) {
        await new Promise((resolve) => stream.once("drain", resolve));
      }
    }
    stream.end();
    expect((await result).size).toBe(data.length);
    const reading = await connection.files.read("/big", {});
    expect(Buffer.concat(await reading.stream.toArray()).equals(data)).toBe(true);
    expect(hasMoved()).toBe(true);
  });

  test("hundreds of commands at once, half of them begun before", async () => {
    const echo = async (index: number) => {
      const { stdout } = await collect(connection.run(shell(`echo ${index}`)).output);
      expect(stdout.toString()).toBe(`${index}\n`);
    };
    const before = Array.from({ length: 100 }, (_, index) => echo(index));
    connection.preferPipes(guest.openPipes);
    const after = Array.from({ length: 100 }, (_, index) => echo(100 + index));
    await Promise.all([...before, ...after]);
    expect(hasMoved()).toBe(true);
  });
});

test("a connection that is closed leaves no pipes behind, on either side", async () => {
  const [mine, theirs] = [pipesOf(process.pid).length, pipesOf(guest.pid).length];
  connection.preferPipes(guest.openPipes);
  await until("it has moved", hasMoved);
  expect(pipesOf(guest.pid)).toHaveLength(theirs + 2);
  connection.close();
  await until("the agent has let go", () => pipesOf(guest.pid).length === theirs);
  await until("so have we", () => pipesOf(process.pid).length === mine);
});

test("whoever says hello through the engine is the daemon from then on", async () => {
  connection.preferPipes(guest.openPipes);
  await until("it has moved", hasMoved);
  const { id } = await connection.start(shell("sleep 60"));
  const nonce = randomBytes(NONCE_SIZE);
  const { stdin, stdout, close } = await guest.attach();
  const scanner = new HelloScanner(nonce, 1 << 20);
  const answered = new Promise((resolve) =>
    stdout.on("data", (chunk: Buffer) => {
      if (scanner.push(chunk)) resolve(undefined);
    }),
  );
  stdin.write(encodeHello(nonce, 700));
  await answered;
  close();
  // The one before has lost its pipes, attaches again, and finds everything.
  await until("it has moved again", () => guest.moved === 2 && guest.links === 0);
  expect((await connection.list()).map((info) => info.id)).toEqual([id]);
  await connection.signal(id, "SIGKILL", "all");
});

test("an agent whose pipes nobody opens goes on as it was", async () => {
  connection.preferPipes(() => undefined);
  for (let i = 0; i < 3; i++) {
    const { stdout } = await collect(connection.run(shell("echo on")).output);
    expect(stdout.toString()).toBe("on\n");
  }
  expect(guest.links).toBe(1);
});

describe("what is not opened", () => {
  const open = (pipes: GuestPipes, { container = "", pid = guest.pid } = {}) =>
    openHostPipes(container, pid, pipes);
  const openFiles = () => readdirSync("/proc/self/fd").length;

  test("anything of the agent's but a pipe, and nothing is left open", () => {
    const before = openFiles();
    const held = readdirSync(`/proc/${guest.pid}/fd`).map(Number);
    const others = held.filter(
      (fd) => !readlinkSync(`/proc/${guest.pid}/fd/${fd}`).startsWith("p"),
    );
    expect(others.length).toBeGreaterThan(2);
    for (const fd of [...others, 999, 4_000_000_000]) {
      expect(open({ input: fd, output: 1 })).toBeUndefined();
      expect(open({ input: 0, output: fd })).toBeUndefined();
    }
    expect(openFiles()).toBe(before);
  });

  test("a process of another container, one that has ended, and none", () => {
    const pipes = { input: 0, output: 1 };
    expect(open(pipes, { container: "f".repeat(64) })).toBeUndefined();
    expect(open(pipes, { pid: 2 ** 22 + 1 })).toBeUndefined();
    for (const pid of [0, 1, -1]) expect(open(pipes, { pid })).toBeUndefined();
  });
});
