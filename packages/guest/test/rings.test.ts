import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GuestConnection } from "../../api/src/guest/index.js";
import type { GuestOutput } from "../../api/src/guest/types.js";
import { collect, ENV, shell, TestGuest, until } from "./support.js";

const MIB = 1 << 20;
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

async function info(id: string) {
  const found = (await connection.list()).find((one) => one.id === id);
  if (!found) throw new Error(`${id} is not listed`);
  return found;
}

const FIVE_MIB = { argv: ["sh", "-c", "head -c 5242880 /dev/zero"], env: ENV, cwd: "/" };

describe("onFull", () => {
  test("block waits for its reader and loses nothing", async () => {
    const { id } = await connection.start({ ...FIVE_MIB, onFull: "block" });
    await until("the ring is full", async () => (await info(id)).outputEnd >= MIB);
    expect(await info(id)).toMatchObject({ outputStart: 0, outputEnd: MIB });
    expect((await info(id)).exit).toBeUndefined();
    const result = await collect(connection.output(id, 0));
    expect(result.stdout.length).toBe(5 * MIB);
    expect(result.dropped).toBe(0);
  });

  test("block goes on as its reader reads, however small the ring", async () => {
    const { id } = await connection.start({ ...FIVE_MIB, onFull: "block", ringBytes: 16_384 });
    const result = await collect(connection.output(id, 0));
    expect(result.stdout.length).toBe(5 * MIB);
    expect(result.dropped).toBe(0);
  });

  test("drop lets the oldest give way and says how much", async () => {
    const { id } = await connection.start({ ...FIVE_MIB, onFull: "drop" });
    await until("it has ended", async () => (await info(id)).exit !== undefined);
    const { outputStart, outputEnd } = await info(id);
    expect(outputEnd).toBe(5 * MIB);
    expect(outputEnd - outputStart).toBe(MIB);
    const items: GuestOutput[] = [];
    for await (const item of connection.output(id, 100)) items.push(item);
    expect(items[0]).toEqual({ type: "dropped", offset: 100, bytes: 4 * MIB - 100 });
    const result = await collect(connection.output(id, 4 * MIB + 5));
    expect(result.stdout.length).toBe(MIB - 5);
    expect(result.dropped).toBe(0);
  });

  test("follow waits for a follower, and for nobody else", async () => {
    const alone = await connection.start({ ...FIVE_MIB, onFull: "follow" });
    await until("it has ended", async () => (await info(alone.id)).exit !== undefined);
    const followed = await collect(connection.run({ ...FIVE_MIB, onFull: "follow" }).output);
    expect(followed.stdout.length).toBe(5 * MIB);
    expect(followed.dropped).toBe(0);
  });

  test("a ring of another size keeps that much", async () => {
    const { id } = await connection.start({ ...FIVE_MIB, onFull: "drop", ringBytes: 65_536 });
    await until("it has ended", async () => (await info(id)).exit !== undefined);
    const { outputStart, outputEnd } = await info(id);
    expect(outputEnd - outputStart).toBe(65_536);
  });
});

test("an offset that does not exist is refused", async () => {
  const { id, output } = connection.run(shell("echo x"));
  await collect(output);
  await expect(collect(connection.output(id, 3))).rejects.toMatchObject({ code: "invalid" });
  expect((await collect(connection.output(id, 2))).exit).toMatchObject({ exitCode: 0 });
});

test("stdout and stderr keep their order, however often they take turns", async () => {
  const script =
    "i=0; while [ $i -lt 6000 ]; do echo $i; i=$((i+1)); echo $i >&2; i=$((i+1)); done";
  const { id, output } = connection.run({ ...shell(script), onFull: "follow" });
  const live = await collect(output);
  const again = await collect(connection.output(id, 0));
  expect(again.stdout.equals(live.stdout)).toBe(true);
  expect(again.stderr.equals(live.stderr)).toBe(true);
  expect(live.stdout.toString().split("\n").filter(Boolean).map(Number)).toEqual(
    Array.from({ length: 3000 }, (_, i) => i * 2),
  );
});

test("single bytes that alternate without an end stay within bounds", async () => {
  // More changes of the kind than the ring keeps count of: block waits, nothing is lost.
  const script = "i=0; while [ $i -lt 20000 ]; do printf a; printf b >&2; i=$((i+1)); done";
  const { id } = await connection.start({ ...shell(script), onFull: "block" });
  await until("it waits", async () => {
    const before = (await info(id)).outputEnd;
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { outputEnd, exit } = await info(id);
    return exit !== undefined || (before > 10_000 && outputEnd === before);
  });
  const result = await collect(connection.output(id, 0));
  expect(result.stdout.toString()).toBe("a".repeat(20_000));
  expect(result.stderr.toString()).toBe("b".repeat(20_000));
});

test("a reader that waits holds up nobody else", async () => {
  const slow = connection.run({ ...FIVE_MIB, onFull: "block" });
  const iterator = slow.output[Symbol.asyncIterator]();
  await iterator.next();
  // The first one's window is full now and stays so.
  for (let i = 0; i < 5; i++) {
    const result = await collect(connection.run({ ...FIVE_MIB, onFull: "block" }).output);
    expect(result.stdout.length).toBe(5 * MIB);
  }
  let rest = 0;
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    if (next.value.type === "stdout") rest += next.value.data.length;
  }
  expect(rest).toBeGreaterThan(4 * MIB);
});

test("several readers of one process each get everything", async () => {
  const { id } = await connection.start({ ...FIVE_MIB, onFull: "block" });
  const results = await Promise.all([1, 2, 3].map(() => collect(connection.output(id, 0))));
  // The first to come may have let the process go on before the last subscribed.
  expect(results[0]?.stdout.length).toBe(5 * MIB);
  for (const result of results) expect(result.stdout.length + result.dropped).toBe(5 * MIB);
});

test("an aborted reader ends and the process goes on", async () => {
  const abort = new AbortController();
  const path = join(guest.root, "done");
  const { output, id } = connection.run(shell(`echo up; sleep 0.3; touch ${path}`), abort.signal);
  const iterator = output[Symbol.asyncIterator]();
  await iterator.next();
  const next = iterator.next();
  abort.abort();
  await expect(next).rejects.toMatchObject({ code: "aborted" });
  await until("it has gone on", () => existsSync(path));
  expect((await collect(connection.output(id, 0))).stdout.toString()).toBe("up\n");
});

test("finished processes are kept in a bounded number", async () => {
  const ids: string[] = [];
  for (let i = 0; i < 300; i++) {
    const { id, output } = connection.run(shell("echo x"));
    ids.push(id);
    await collect(output);
  }
  const listed = await connection.list();
  expect(listed.length).toBeLessThanOrEqual(257);
  expect(listed.map((one) => one.id)).toContain(ids.at(-1));
  expect(listed.map((one) => one.id)).not.toContain(ids[0]);
});
