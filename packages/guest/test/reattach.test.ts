import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GuestConnection } from "../../api/src/guest/index.js";
import { collect, ENV, shell, TestGuest, until } from "./support.js";

let guest: TestGuest;
let connection: GuestConnection;

beforeEach(async () => {
  guest = new TestGuest();
  connection = await guest.open();
});

/** The ways to a guest agent: through the engine, or from there on through its own pipes. */
const WAYS = ["the engine", "the guest's pipes"] as const;

async function go(way: (typeof WAYS)[number]): Promise<void> {
  if (way === "the engine") return;
  connection.preferPipes(guest.openPipes);
  await until("it has moved", () => guest.moved === 1 && guest.links === 0);
}

afterEach(async () => {
  connection.close();
  await guest.stop();
});

/** 100 MB that are cheap to make and don't repeat within a window: lines that count. */
const COUNT = { argv: ["seq", "-f", "%018.0f", "1", "5263158"], bytes: 5_263_158 * 19 };

test.each(WAYS)(
  "through %s, 100 MB over a connection that is cut ten times arrive byte for byte",
  async (way) => {
    await go(way);
    const { id, output } = connection.run({
      argv: COUNT.argv,
      env: ENV,
      cwd: "/",
      onFull: "block",
    });
    const hash = createHash("sha256");
    let received = 0;
    let cuts = 0;
    for await (const item of output) {
      if (item.type === "dropped") throw new Error(`dropped ${item.bytes} at ${item.offset}`);
      if (item.type === "exit") {
        expect(item).toMatchObject({ exitCode: 0, offset: COUNT.bytes });
        break;
      }
      expect(item.offset).toBe(received);
      hash.update(item.data);
      received += item.data.length;
      if (received > ((cuts + 1) * COUNT.bytes) / 11 && cuts < 10) {
        cuts++;
        guest.cut();
      }
    }
    expect(cuts).toBe(10);
    expect(guest.attached).toBe(11);
    expect(received).toBe(COUNT.bytes);
    const wanted = await collect(
      connection.run({
        argv: ["sh", "-c", `${COUNT.argv.join(" ")} | sha256sum`],
        env: ENV,
        cwd: "/",
        onFull: "block",
      }).output,
    );
    expect(hash.digest("hex")).toBe(wanted.stdout.toString().slice(0, 64));
    await connection.forget(id);
  },
);

test.each(WAYS)("through %s, stdin over cuts reaches the process once", async (way) => {
  await go(way);
  const data = randomBytes(3 << 20);
  const { id, output, started } = connection.run({ ...shell("sha256sum"), stdin: true });
  await started;
  let written = 0;
  for (let at = 0; at < data.length; at += 50_000) {
    await connection.writeStdin(id, data.subarray(at, at + 50_000));
    written++;
    if (written % 9 === 0) guest.cut();
  }
  await connection.closeStdin(id);
  const result = await collect(output);
  expect(result.stdout.toString().slice(0, 64)).toBe(
    createHash("sha256").update(data).digest("hex"),
  );
  expect(guest.attached).toBeGreaterThan(5);
});

test.each(WAYS)(
  "through %s, requests wait for the next transport; what may have happened already is not repeated",
  async (way) => {
    await go(way);
    guest.cut();
    const { stdout } = await collect(connection.run(shell("echo after")).output);
    expect(stdout.toString()).toBe("after\n");
    const renaming = connection.files.rename("/no", "/where");
    guest.cut();
    await expect(renaming).rejects.toMatchObject({ code: "unavailable" });
  },
);

test.each(WAYS)("through %s, a daemon that was killed finds everything again", async (way) => {
  await go(way);
  const spec = {
    ...shell("echo one; read x; echo two; echo three >&2; read x; exit 5"),
    stdin: true,
  };
  const { id } = await connection.start({ ...spec, meta: Buffer.from("mine") });
  await connection.writeStdin(id, Buffer.from("go\n"));
  await until("it has answered", async () => (await connection.list())[0]?.outputEnd === 14);
  const boot = connection.bootId;
  // No goodbye: the transport is dead, the object forgotten.
  guest.cut();
  connection.close();
  connection = await guest.open();
  expect(connection.bootId).toBe(boot);
  const [info] = await connection.list();
  expect(info).toMatchObject({ id, stdinOffset: 3, outputStart: 0, outputEnd: 14 });
  expect(info?.meta.toString()).toBe("mine");
  const reading = collect(connection.output(id, 4));
  await connection.writeStdin(id, Buffer.from("on\n"));
  const result = await reading;
  expect(result.stdout.toString()).toBe("two\n");
  expect(result.stderr.toString()).toBe("three\n");
  expect(result.exit.exitCode).toBe(5);
});

describe("half frames", () => {
  const cases: [string, Buffer][] = [
    ["one byte", Buffer.from([2])],
    ["half a header", Buffer.from([2, 0, 5])],
    [
      "half a payload",
      Buffer.concat([Buffer.from([2, 0, 0, 0x80, 1, 0, 0, 0]), Buffer.alloc(1000, 7)]),
    ],
    [
      "all but the trailer's last byte",
      Buffer.concat([Buffer.from([3, 0, 4, 0, 9, 0, 0, 0]), Buffer.alloc(7, 0xff)]),
    ],
    ["a type that doesn't exist", Buffer.from([0x77, 1, 2, 3, 4, 5, 6, 7, 8, 9])],
    ["a length that doesn't exist", Buffer.from([2, 0, 0xff, 0xff, 1, 0, 0, 0, 1])],
    ["noise", randomBytes(100_000)],
  ];
  test.each(cases)(
    "%s left in the guest's stdin doesn't reach the next daemon",
    async (_name, bytes) => {
      guest.cut();
      guest.inject(bytes);
      connection.close();
      connection = await guest.open();
      expect((await collect(connection.run(shell("echo fine")).output)).stdout.toString()).toBe(
        "fine\n",
      );
    },
  );

  test("a frame of an earlier session that comes late is not obeyed, and the connection recovers", async () => {
    const { id } = await connection.start(shell("sleep 60"));
    // A whole SIGNAL request, ended by another session's tag.
    const signal = Buffer.concat([
      Buffer.from([6 + 1]),
      Buffer.from(id, "hex"),
      Buffer.from([9, 0]),
    ]);
    const header = Buffer.from([2, 0, signal.length, 0, 0xee, 0xee, 0, 0]);
    guest.inject(Buffer.concat([header, signal, Buffer.from([1, 2, 3, 4])]));
    await until("it has attached again", () => guest.attached === 2);
    const [info] = await connection.list();
    expect(info?.exit).toBeUndefined();
    await connection.signal(id, "SIGKILL", "group");
  });
});

test("a guest of another major version is refused with its version", async () => {
  const { PassThrough, Writable } = await import("node:stream");
  const opening = GuestConnection.open(async () => {
    const stdout = new PassThrough();
    const stdin = new Writable({
      write(chunk: Buffer, _encoding, callback) {
        const at = chunk.indexOf("CLAWDGST");
        if (at >= 0) {
          const ack = Buffer.alloc(72);
          ack.set([0x81, 0, 64, 0]);
          chunk.copy(ack, 8, at + 12, at + 28);
          ack.write("CLAWDGST", 24);
          ack.writeUInt16LE(9, 32);
          stdout.write(ack);
        }
        callback();
      },
    });
    return { stdin, stdout, close: () => stdout.destroy() };
  });
  await expect(opening).rejects.toMatchObject({
    code: "version",
    message: expect.stringContaining("9.0"),
  });
});

test("nobody there is unavailable within the time given; a space that is gone at once", async () => {
  await expect(
    GuestConnection.open(() => Promise.reject(new Error("no route")), { openTimeoutMs: 100 }),
  ).rejects.toMatchObject({ code: "unavailable" });
  const { GuestError } = await import("../../api/src/guest/types.js");
  let asked = 0;
  await expect(
    GuestConnection.open(() => {
      asked++;
      return Promise.reject(new GuestError("closed", "gone"));
    }),
  ).rejects.toMatchObject({ code: "closed" });
  expect(asked).toBe(1);
});

test.each(WAYS)(
  "through %s, after close everything pending is told, and the guest goes on",
  async (way) => {
    await go(way);
    const { id, output } = connection.run(shell("echo up; sleep 60"));
    const iterator = output[Symbol.asyncIterator]();
    await iterator.next();
    const next = iterator.next();
    const exec = connection.ping();
    connection.close();
    await expect(next).rejects.toMatchObject({ code: "closed" });
    await expect(exec).rejects.toMatchObject({ code: "closed" });
    await expect(connection.ping()).rejects.toMatchObject({ code: "closed" });
    connection = await guest.open();
    expect((await connection.list()).map((info) => info.id)).toEqual([id]);
    await connection.signal(id, "SIGKILL", "all");
  },
);
