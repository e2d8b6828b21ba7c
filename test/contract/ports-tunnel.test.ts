import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { runInSpace, waitForPort } from "../support/space-server.js";

const LINES = 7001;
const COUNTER = 7002;
const SOURCE = 7003;

/** A line protocol, a counter of bytes that answers after their end, and a source that ends first. */
const SERVER = `
import hashlib, socketserver, threading, time

class Lines(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            word, _, rest = line.decode().strip().partition(" ")
            if word == "QUIT":
                self.wfile.write(b"+BYE\\r\\n")
                return
            self.wfile.write(f"+{word} {rest[::-1]}\\r\\n".encode())

class Counter(socketserver.StreamRequestHandler):
    def handle(self):
        digest, count = hashlib.sha256(), 0
        while data := self.request.recv(65536):
            digest.update(data)
            count += len(data)
        self.wfile.write(f"{count} {digest.hexdigest()}".encode())

class Source(socketserver.StreamRequestHandler):
    def handle(self):
        block, digest, count = bytes(range(256)) * 256, hashlib.sha256(), 0
        for _ in range(800):
            self.request.sendall(block)
            digest.update(block)
        self.request.sendall(digest.digest())

socketserver.ThreadingTCPServer.allow_reuse_address = True
for port, handler in ((${LINES}, Lines), (${COUNTER}, Counter), (${SOURCE}, Source)):
    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever).start()
`;

describe("a tunnel into a space", () => {
  let daemon: Daemon;

  beforeAll(async () => {
    daemon = await startDaemon();
    await daemon.space("box", { template: "offline" });
    await runInSpace(daemon, "box", "python3", SERVER);
    await waitForPort(daemon, "box", SOURCE);
  });
  afterAll(() => daemon.stop());

  function dial(port: number, options: { query?: string; key?: string } = {}): WebSocket {
    const { query = "", key = daemon.key } = options;
    return new WebSocket(
      `ws${daemon.url.slice(4)}/api/spaces/box/ports/${port}/tcp${query}`,
      key ? { headers: { authorization: `Bearer ${key}` } } : {},
    );
  }

  it("speaks a line protocol, and closes when the server does", async () => {
    const socket = dial(LINES);
    let got = "";
    socket.on("message", (data, binary) => {
      expect(binary).toBe(true);
      got += data;
    });
    await once(socket, "open");
    socket.send(Buffer.from("ECHO hello\r\nECHO wor"));
    socket.send(Buffer.from("ld\r\n"));
    await expect.poll(() => got).toBe("+ECHO olleh\r\n+ECHO dlrow\r\n");
    socket.send(Buffer.from("QUIT\r\n"));
    const [code] = await once(socket, "close");
    expect([code, got.endsWith("+BYE\r\n")]).toEqual([1000, true]);
  });

  it("carries 50 MiB in, tells the server that they end, and brings its answer", async () => {
    const socket = dial(COUNTER);
    await once(socket, "open");
    const digest = createHash("sha256");
    for (let at = 0; at < 100; at++) {
      const block = randomBytes(512 * 1024);
      digest.update(block);
      await new Promise((sent) => socket.send(block, sent));
    }
    socket.send('{"type":"end"}');
    const [answer] = await once(socket, "message");
    expect(answer.toString()).toBe(`${50 * 1024 ** 2} ${digest.digest("hex")}`);
    await once(socket, "close");
  });

  it("carries 50 MiB out to a reader that stalls, and loses none", async () => {
    const socket = dial(SOURCE);
    const parts: Buffer[] = [];
    socket.on("message", (data: Buffer) => parts.push(data));
    await once(socket, "open");
    socket.pause();
    await delay(500);
    socket.resume();
    const [code] = await once(socket, "close");
    expect(code).toBe(1000);
    const all = Buffer.concat(parts);
    const wanted = createHash("sha256").update(all.subarray(0, -32)).digest();
    expect(all.length).toBe(800 * 65536 + 32);
    expect(all.subarray(-32).equals(wanted)).toBe(true);
  });

  it("says the server's end where the client asks for it", async () => {
    const socket = dial(LINES, { query: "?halfClose=true" });
    const texts: string[] = [];
    socket.on("message", (data, binary) => !binary && texts.push(data.toString()));
    await once(socket, "open");
    socket.send(Buffer.from("QUIT\r\n"));
    await expect.poll(() => texts).toEqual(['{"type":"end"}']);
    socket.send('{"type":"end"}');
    expect((await once(socket, "close"))[0]).toBe(1000);
  });

  it("is refused without a key, and where nothing listens", async () => {
    for (const [socket, status] of [
      [dial(LINES, { key: "" }), 401],
      [dial(LINES, { key: "wrong" }), 401],
      [dial(7999), 409],
    ] as const) {
      const [, answer] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
      expect(answer.statusCode).toBe(status);
      answer.resume();
    }
  });
});
