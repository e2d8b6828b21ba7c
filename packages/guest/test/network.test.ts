import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";
import { buffer, text } from "node:stream/consumers";
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

/** A TCP server on a free port of one address. */
async function listen(handler: (socket: net.Socket) => void, host = "127.0.0.1") {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    handler(socket);
  });
  server.listen(0, host);
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("no port");
  return { port: address.port, close: () => server.close() };
}

describe("TCP", () => {
  test("half-close works in both directions", async () => {
    const server = await listen((socket) => {
      let said = "";
      socket.on("data", (data) => {
        said += data.toString();
      });
      socket.on("end", () => socket.end(`heard ${said}`));
    });
    const stream = await connection.connect(server.port);
    stream.end("hello");
    expect(await text(stream)).toBe("heard hello");
    server.close();
    const greeter = await listen((socket) => {
      socket.end("bye");
      socket.on("data", (data) => heard.push(data));
    });
    const heard: Buffer[] = [];
    const second = await connection.connect(greeter.port);
    expect(await text(second)).toBe("bye");
    second.end("still here");
    await until("it is heard", () => Buffer.concat(heard).toString() === "still here");
    greeter.close();
  });

  test("20 MiB each way, on several streams at once", async () => {
    const server = await listen((socket) => socket.pipe(socket));
    const data = randomBytes(20 << 20);
    const wanted = createHash("sha256").update(data).digest("hex");
    await Promise.all(
      [1, 2, 3].map(async () => {
        const stream = await connection.connect(server.port);
        stream.end(data);
        const back = await buffer(stream);
        expect(createHash("sha256").update(back).digest("hex")).toBe(wanted);
      }),
    );
    server.close();
  });

  test("a peer that doesn't read holds up its own stream alone", async () => {
    const sockets: net.Socket[] = [];
    const server = await listen((socket) => {
      socket.pause();
      socket.on("error", () => {});
      sockets.push(socket);
    });
    const stuck = await connection.connect(server.port);
    let drained = false;
    stuck.write(Buffer.alloc(64 << 20), () => {
      drained = true;
    });
    const result = await collect(connection.run(shell("echo fine")).output);
    expect(result.stdout.toString()).toBe("fine\n");
    await connection.ping();
    expect(drained).toBe(false);
    stuck.destroy();
    for (const socket of sockets) socket.resume();
    await until("the server sees it go", () =>
      sockets.every((socket) => socket.destroyed || socket.readableEnded),
    );
    server.close();
  });

  test("::1 is tried where 127.0.0.1 refuses; nothing there is refused", async () => {
    const six = await listen((socket) => socket.end("six"), "::1");
    expect(await text(await connection.connect(six.port))).toBe("six");
    six.close();
    await until("the port is free", async () => {
      try {
        (await connection.connect(six.port)).destroy();
        return false;
      } catch (error) {
        expect(error).toMatchObject({ code: "refused" });
        return true;
      }
    });
  });

  test("a reset is an error, not an end", async () => {
    const server = await listen((socket) => socket.resetAndDestroy());
    const stream = await connection.connect(server.port);
    await until("it is closed", () => stream.destroyed);
    expect(stream.errored).toMatchObject({ code: "closed" });
    server.close();
  });

  test("a broken transport breaks the stream, and the server sees it", async () => {
    let closed = false;
    const server = await listen((socket) => {
      socket.on("close", () => {
        closed = true;
      });
      socket.on("error", () => {});
      socket.resume();
    });
    const stream = await connection.connect(server.port);
    stream.resume();
    guest.cut();
    await until("it is closed", () => stream.destroyed);
    expect(stream.errored).toMatchObject({ code: "unavailable" });
    await until("the server has seen it", () => closed);
    server.close();
  });

  test("carries HTTP", async () => {
    const server = http.createServer((request, response) => {
      request.pipe(response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    for (let i = 0; i < 20; i++) {
      const stream = await connection.connect(port);
      const request = http.request({
        createConnection: () => stream as net.Socket,
        method: "POST",
      });
      request.end(`body ${i}`);
      const [response] = await once(request, "response");
      expect(await text(response)).toBe(`body ${i}`);
    }
    server.close();
  });
});

describe("what /proc tells", () => {
  test("listening ports with the process that holds them", async () => {
    const script = `
import socket, time
a = socket.create_server(("127.0.0.1", 0)); b = socket.create_server(("::", 0), family=socket.AF_INET6)
print(a.getsockname()[1], b.getsockname()[1], flush=True)
time.sleep(60)`;
    const { id, output, started } = connection.run({
      argv: ["python3", "-c", script],
      env: ENV,
      cwd: "/",
      onFull: "drop",
    });
    const { pid } = await started;
    const first = await output[Symbol.asyncIterator]().next();
    const [four, six] = first.value.data.toString().split(" ").map(Number);
    const ports = await connection.listeningPorts();
    expect(ports).toContainEqual({ port: four, address: "127.0.0.1", pid, processId: id });
    expect(ports).toContainEqual({ port: six, address: "::", pid, processId: id });
    await connection.signal(id, "SIGKILL", "all");
  });

  test("processes, those of ours marked, with words that hold anything", async () => {
    const { id, started } = await (async () => {
      const run = connection.run({
        argv: ["sh", "-c", "setsid sleep 61 & sleep 62", "wei\nrd (name)", ""],
        env: ENV,
        cwd: "/",
        onFull: "drop",
      });
      return { id: run.id, started: await run.started };
    })();
    let ours = (await connection.processTable()).filter((entry) => entry.processId === id);
    await until("three run", async () => {
      ours = (await connection.processTable()).filter((entry) => entry.processId === id);
      return ours.filter((entry) => entry.argv[0]?.toString() === "sleep").length === 2;
    });
    const leader = ours.find((entry) => entry.pid === started.pid);
    expect(leader?.argv.map(String)).toEqual([
      "sh",
      "-c",
      "setsid sleep 61 & sleep 62",
      "wei\nrd (name)",
      "",
    ]);
    expect(leader).toMatchObject({ ppid: guest.pid, sessionId: started.pid, threads: 1 });
    expect(leader?.rssBytes).toBeGreaterThan(100_000);
    expect(Math.abs((leader?.startedAt.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    const others = await connection.processTable();
    expect(others.find((entry) => entry.pid === guest.pid)?.processId).toBeUndefined();
    await connection.signal(id, "SIGKILL", "all");
  });
});
