import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GuestConnection } from "./connection.js";
import { encodeHeader, FLAG_MORE, FLAG_OPEN, MAX_PAYLOAD, Receive } from "./frames.js";
import { PayloadWriter } from "./payload.js";
import { ScriptedGuest } from "./scripted-guest.js";
import { GuestError, type GuestPipes, type GuestTransport } from "./types.js";

// Everything that a guest says may be a lie. Each lie ends the connection, and whoever waits is told.

let guest: ScriptedGuest;
let connection: GuestConnection;
let closed: Error[];

beforeEach(async () => {
  guest = new ScriptedGuest();
  closed = [];
  connection = await GuestConnection.open(guest.attach, {
    requestTimeoutMs: 300,
    reattachMs: 300,
    onClosed: (reason) => closed.push(reason),
  });
});

afterEach(() => connection.close());

const SPEC = { argv: ["x"], env: {}, cwd: "/", onFull: "block" as const };
const ID = "0".repeat(32);
const u64 = (value: number | bigint) => new PayloadWriter().u64(value).finish();
const started = new PayloadWriter().u32(5).u8(0).finish();
const stat = new PayloadWriter()
  .u8(1)
  .u32(0o644)
  .u64(100)
  .u64(0)
  .u32(0)
  .u64(1)
  .u32(0)
  .u32(0)
  .u32(1)
  .finish();
const output = (offset: number, data: string) => Buffer.concat([u64(offset), Buffer.from(data)]);

/** The window that an output request names. */
const windowOf = (payload: Buffer) => payload.readUInt32LE(25);

type Lie = [
  name: string,
  ask: () => Promise<unknown>,
  answer: (stream: number, asked: Buffer) => void,
];

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

async function drainRead(options: { length?: number } = {}): Promise<void> {
  const { stream } = await connection.files.read("/f", options);
  await stream.toArray();
}

const lies: Lie[] = [
  ["a stream that doesn't exist", () => connection.ping(), () => guest.say(Receive.reply, 0, 999)],
  ["a reply to no request", () => connection.ping(), () => guest.say(Receive.reply, 0, 0)],
  ["a frame of the daemon's own", () => connection.ping(), (s) => guest.say(2, 0, s)],
  [
    "a second hello",
    () => connection.ping(),
    () => guest.say(Receive.helloAck, 0, 0, Buffer.alloc(64)),
  ],
  [
    "an impossible length",
    () => connection.ping(),
    () => guest.raw(Buffer.from([0x82, 0, 255, 255, 1, 0, 0, 0])),
  ],
  [
    "a reply that never ends",
    () => connection.ping(),
    (s) => {
      for (let i = 0; i < 40; i++)
        guest.say(Receive.reply, FLAG_MORE, s, Buffer.alloc(MAX_PAYLOAD));
    },
  ],
  [
    "a reply in pieces, mixed with another",
    () => connection.ping(),
    (s) => {
      guest.say(Receive.reply, FLAG_MORE, s, "x");
      guest.say(Receive.reply, 0, s + 1, "x");
    },
  ],
  [
    "an opening of what is no stream",
    () => connection.ping(),
    (s) => guest.say(Receive.reply, FLAG_OPEN, s),
  ],
  [
    "data for what is no stream",
    () => connection.ping(),
    (s) => guest.say(Receive.data, 0, s, "x"),
  ],
  ["an error cut short", () => connection.ping(), (s) => guest.say(Receive.error, 0, s, "x")],
  [
    "a start without a pid",
    () => connection.start(SPEC),
    (s) => guest.say(Receive.reply, 0, s, "x"),
  ],
  [
    "a list in no order",
    () => connection.list(),
    (s) => guest.say(Receive.reply, 0, s, Buffer.concat([Buffer.from([1]), Buffer.alloc(200)])),
  ],
  [
    "a list cut short",
    () => connection.list(),
    (s) => guest.say(Receive.reply, 0, s, Buffer.from([0, 1, 0])),
  ],
  ["no list at all", () => connection.list(), (s) => guest.say(Receive.reply, 0, s)],
  [
    "output at another offset",
    () => drain(connection.output(ID, 0)),
    (s) => guest.say(Receive.data, 1, s, output(1, "x")),
  ],
  [
    "output of no bytes",
    () => drain(connection.output(ID, 0)),
    (s) => guest.say(Receive.data, 1, s, output(0, "")),
  ],
  [
    "output of an unknown kind",
    () => drain(connection.output(ID, 0)),
    (s) => guest.say(Receive.data, 9, s, output(0, "x")),
  ],
  [
    "output at an offset beyond numbers",
    () => drain(connection.output(ID, 0)),
    (s) => guest.say(Receive.data, 1, s, Buffer.alloc(9, 255)),
  ],
  [
    "nothing that was dropped",
    () => drain(connection.output(ID, 0)),
    (s) => guest.say(Receive.data, 3, s, Buffer.concat([u64(0), u64(0)])),
  ],
  [
    "an exit before the end",
    () => drain(connection.output(ID, 0)),
    (s) => guest.say(Receive.reply, 0, s, Buffer.concat([u64(5), Buffer.alloc(26)])),
  ],
  [
    "an opening of an output",
    () => drain(connection.output(ID, 0)),
    (s) => guest.say(Receive.reply, FLAG_OPEN, s),
  ],
  [
    "a file of an unknown kind",
    () => connection.files.stat("/f"),
    (s) => guest.say(Receive.reply, 0, s, Buffer.alloc(45)),
  ],
  [
    "a file of an impossible time",
    () => connection.files.stat("/f"),
    (s) => {
      const bad = Buffer.from(stat);
      bad.fill(0x7f, 13, 21);
      guest.say(Receive.reply, 0, s, bad);
    },
  ],
  [
    "a name with a slash",
    () => connection.files.list("/"),
    (s) =>
      guest.say(
        Receive.reply,
        0,
        s,
        new PayloadWriter().u8(0).u64(0).bytes("../x").raw(stat).finish(),
      ),
  ],
  [
    "a name of dots",
    () => connection.files.list("/"),
    (s) =>
      guest.say(
        Receive.reply,
        0,
        s,
        new PayloadWriter().u8(0).u64(0).bytes("..").raw(stat).finish(),
      ),
  ],
  [
    "a name too long",
    () => connection.files.list("/"),
    (s) =>
      guest.say(
        Receive.reply,
        0,
        s,
        new PayloadWriter().u8(0).u64(0).bytes("x".repeat(300)).finish(),
      ),
  ],
  [
    "a read that answers before it opens",
    () => drainRead(),
    (s) => guest.say(Receive.data, 0, s, "x"),
  ],
  [
    "a read that opens twice",
    () => drainRead(),
    (s) => {
      guest.say(Receive.reply, FLAG_OPEN, s, stat);
      guest.say(Receive.reply, FLAG_OPEN, s, stat);
    },
  ],
  [
    "a read of more than was asked for",
    () => drainRead({ length: 3 }),
    (s) => {
      guest.say(Receive.reply, FLAG_OPEN, s, stat);
      guest.say(Receive.data, 0, s, "four");
    },
  ],
  [
    "a read that lost bytes",
    () => drainRead(),
    (s) => {
      guest.say(Receive.reply, FLAG_OPEN, s, stat);
      guest.say(Receive.data, 0, s, "four");
      guest.say(Receive.reply, 0, s, u64(5));
    },
  ],
  [
    "a write that took what was never sent",
    () => connection.files.writeAll("/f", Buffer.from("x")),
    (s) => guest.say(Receive.credit, 0, s, u64(2)),
  ],
  [
    "stdin that took what was never sent",
    () => connection.writeStdin(ID, Buffer.from("x")),
    (s) => guest.say(Receive.credit, 0, s, u64(2)),
  ],
  [
    "a watch that tells nonsense",
    async () => drain(await connection.watch("/", {})),
    (s) => {
      guest.say(Receive.reply, FLAG_OPEN, s);
      guest.say(Receive.data, 0, s, "nonsense");
    },
  ],
  [
    "a connection that talks before it is one",
    () => connection.connect(80),
    (s) => guest.say(Receive.data, 0, s, "x"),
  ],
  [
    "a connection that ends before it is one",
    () => connection.connect(80),
    (s) => guest.say(Receive.reply, 0, s),
  ],
  [
    "a table cut short",
    () => connection.processTable(),
    (s) => guest.say(Receive.reply, 0, s, "xxxx"),
  ],
  [
    "a port of an unknown family",
    () => connection.listeningPorts(),
    (s) => guest.say(Receive.reply, 0, s, Buffer.alloc(24, 7)),
  ],
];

describe("each of these ends what was asked, in bounded time and memory", () => {
  test.each(lies)("%s", async (_name, ask, answer) => {
    guest.onRequest = answer;
    await expect(ask()).rejects.toBeInstanceOf(GuestError);
    // Whatever it was, nothing is left open that could still be asked.
    await expect(connection.ping()).rejects.toBeInstanceOf(GuestError);
  });
});

test("more output than the window allows ends the connection", async () => {
  guest.onRequest = (stream, asked) => {
    const window = windowOf(asked);
    let sent = 0;
    while (sent <= window) {
      guest.say(Receive.data, 1, stream, output(sent, "x".repeat(MAX_PAYLOAD - 8)));
      sent += MAX_PAYLOAD - 8;
    }
  };
  const iterator = connection.output(ID, 0)[Symbol.asyncIterator]();
  // A consumer that takes one piece and then waits: no credit is given for the rest.
  await iterator.next();
  await expect(connection.ping()).rejects.toMatchObject({ code: "protocol" });
  expect(closed).toMatchObject([{ code: "protocol" }]);
  expect(guest.closed).toBe(1);
});

test("what is granted over all streams stays in bounds", async () => {
  const windows: number[] = [];
  guest.onRequest = (_stream, asked) => windows.push(windowOf(asked));
  const outputs = Array.from({ length: 200 }, () =>
    connection.output(ID, 0)[Symbol.asyncIterator](),
  );
  for (const one of outputs) void one.next().catch(() => {});
  expect(windows.length === 0 || windows.length === 200).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(windows.length).toBe(200);
  expect(windows[0]).toBeGreaterThanOrEqual(256 << 10);
  expect(windows.reduce((sum, window) => sum + window)).toBeLessThanOrEqual(
    (4 << 20) + 200 * (16 << 10),
  );
});

test("a guest that never answers costs a time-out, and its late answer is harmless", async () => {
  await expect(connection.ping()).rejects.toMatchObject({ code: "timeout" });
  const [first] = guest.requests;
  expect(guest.cancelled).toEqual([first?.stream]);
  guest.say(Receive.reply, 0, first?.stream ?? 0, "late");
  guest.onRequest = (stream) => guest.say(Receive.reply, 0, stream);
  await connection.ping();
  // It has ended now: one more answer is a lie.
  guest.say(Receive.reply, 0, first?.stream ?? 0, "again");
  await expect(connection.ping()).rejects.toMatchObject({ code: "protocol" });
});

test("a guest that never ends cancelled streams is cut off", async () => {
  const abort = new AbortController();
  const asked = Array.from({ length: 2100 }, () => drain(connection.output(ID, 0, abort.signal)));
  const all = Promise.allSettled(asked);
  abort.abort();
  await all;
  await expect(connection.ping()).rejects.toBeInstanceOf(GuestError);
  expect(closed).toMatchObject([{ code: "protocol" }]);
});

test("a guest that never answers the handshake is unavailable", async () => {
  guest.answersHello = false;
  guest.cut();
  await expect(connection.ping()).rejects.toMatchObject({ code: "timeout" });
  await expect
    .poll(() => closed.map((error) => (error as GuestError).code), { timeout: 5_000 })
    .toEqual(["unavailable"]);
});

test("random frames to everything at once never break more than the connection", async () => {
  const frame = fc.record({
    type: fc.oneof(fc.constantFrom(0x82, 0x83, 0x84, 0x85, 0x86), fc.integer({ min: 0, max: 255 })),
    flags: fc.constantFrom(0, 1, 2, 3),
    stream: fc.integer({ min: 0, max: 9 }),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.constantFrom(new Uint8Array(0), started, stat, u64(0), u64(5), output(0, "data")),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 30 }), async (frames) => {
      const other = new ScriptedGuest();
      const open = await GuestConnection.open(other.attach, {
        requestTimeoutMs: 20,
        reattachMs: 20,
      });
      const asked = [
        open.ping(),
        open.start({ ...SPEC, stdin: true, id: ID }),
        drain(open.output(ID, 0)),
        open.writeStdin(ID, Buffer.alloc(100)),
        open.files.list("/"),
        open.files.readAll("/f", { maxBytes: 10 }),
        open.files.writeAll("/f", Buffer.alloc(100)),
        open.watch("/", {}).then(drain),
        open.connect(80).then((stream) => stream.toArray()),
      ];
      const pending = new Set(asked.keys());
      const results = asked.map((one, i) =>
        one.then(
          () => pending.delete(i),
          (error) => {
            pending.delete(i);
            expect(error).toBeInstanceOf(GuestError);
          },
        ),
      );
      await new Promise((resolve) => setImmediate(resolve));
      for (const { type, flags, stream, payload } of frames) {
        other.say(type, flags, stream, Buffer.from(payload));
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
      open.close();
      await expect.poll(() => [...pending], { timeout: 2_000, interval: 1 }).toEqual([]);
      await Promise.all(results);
    }),
    { numRuns: 150 },
  );
}, 60_000);

describe("an agent that has pipes of its own", () => {
  const PIPES = 13;
  let opened: GuestPipes[];

  /** Attaches to an agent that answers the request for its pipes so. */
  async function attach(answer: (stream: number) => void, transport?: GuestTransport) {
    connection.close();
    guest = new ScriptedGuest();
    guest.capabilities = 2;
    guest.onRequest = (stream, payload) => {
      if (payload[0] === PIPES) answer(stream);
      else if (payload[0] === 1) guest.say(Receive.reply, 0, stream);
    };
    connection = await GuestConnection.open(guest.attach, {
      requestTimeoutMs: 100,
      reattachMs: 300,
      onClosed: (reason) => closed.push(reason),
    });
    opened = [];
    connection.preferPipes((pipes) => {
      opened.push(pipes);
      return transport;
    });
  }

  const numbers = new PayloadWriter().u32(7).u32(9).finish();
  const fresh = () => {
    const [stdin, stdout] = [new PassThrough(), new PassThrough()];
    const close = vi.fn(() => {
      stdin.destroy();
      stdout.destroy();
    });
    return { stdin, stdout, close };
  };

  test("refuses them: all goes on as it was", async () => {
    await attach((stream) => guest.say(Receive.error, 0, stream, Buffer.from([24, 0, 5, 0])));
    await connection.ping();
    expect(opened).toEqual([]);
    expect(closed).toEqual([]);
  });

  test("names some that can't be opened: all goes on as it was", async () => {
    await attach((stream) => guest.say(Receive.reply, 0, stream, numbers));
    await connection.ping();
    expect(opened).toEqual([{ input: 7, output: 9 }]);
    expect(closed).toEqual([]);
  });

  test("names none: it is not listened to any more", async () => {
    await attach((stream) => guest.say(Receive.reply, 0, stream, Buffer.from([1, 2, 3])));
    await expect.poll(() => closed).toMatchObject([{ code: "protocol" }]);
  });

  test("moves unasked: it is not listened to any more", async () => {
    await attach(() => guest.say(Receive.switched, 0, 0));
    await expect.poll(() => closed).toMatchObject([{ code: "protocol" }]);
  });

  test("doesn't move when told so: who asks is told that it doesn't answer", async () => {
    const transport = fresh();
    await attach((stream) => guest.say(Receive.reply, 0, stream, numbers), transport);
    await expect.poll(() => opened).toHaveLength(1);
    await expect(connection.ping()).rejects.toMatchObject({ code: "timeout" });
    // What it says in the pipe before its last word over the engine is not read.
    transport.stdout.write("anything");
    await expect(connection.ping()).rejects.toMatchObject({ code: "timeout" });
    connection.close();
    expect(transport.close).toHaveBeenCalled();
  });

  test("says nonsense after its last word over the engine: both ways are closed", async () => {
    const transport = fresh();
    await attach((stream) => {
      guest.say(Receive.reply, 0, stream, numbers);
      const last = encodeHeader(Receive.switched, 0, 0, 0);
      setImmediate(() => guest.raw(Buffer.concat([last, Buffer.alloc(9, 7)])));
    }, transport);
    await expect.poll(() => closed).toMatchObject([{ code: "protocol" }]);
    expect(transport.close).toHaveBeenCalled();
    expect(guest.closed).toBe(1);
  });

  test("says nonsense in its pipe: both ways are closed", async () => {
    const transport = fresh();
    await attach((stream) => {
      guest.say(Receive.reply, 0, stream, numbers);
      setImmediate(() => guest.say(Receive.switched, 0, 0));
    }, transport);
    transport.stdout.write(Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9]));
    await expect.poll(() => closed).toMatchObject([{ code: "protocol" }]);
    expect(transport.close).toHaveBeenCalled();
    expect(guest.closed).toBe(1);
  });

  test("closes its pipe: the daemon attaches again", async () => {
    const transport = fresh();
    await attach((stream) => {
      guest.say(Receive.reply, 0, stream, numbers);
      setImmediate(() => guest.say(Receive.switched, 0, 0));
    }, transport);
    await expect.poll(() => guest.closed).toBe(1);
    transport.stdout.end();
    await expect.poll(() => guest.attached).toBe(2);
    expect(closed).toEqual([]);
  });
});
