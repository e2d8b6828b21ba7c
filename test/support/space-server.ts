import type { Daemon } from "./daemon.js";

/**
 * A server for the inside of a space, without dependencies: it tells what it was asked and what became of it, streams both
 * ways, sends events, and speaks WebSockets.
 */
const SCRIPT = String.raw`
const { createServer } = require("node:http");
const { createHash } = require("node:crypto");
const stats = { sent: 0, received: 0, closed: 0, open: 0 };
const block = Buffer.alloc(65536, "0123456789abcdef");
const server = createServer((request, response) => {
  const url = new URL(request.url, "http://x");
  stats.open++;
  response.on("close", () => { stats.open--; stats.closed++; });
  if (url.pathname === "/stats") return response.end(JSON.stringify(stats));
  if (url.pathname === "/down") {
    let left = Number(url.searchParams.get("bytes"));
    response.writeHead(200, { "content-length": left });
    const more = () => {
      while (left > 0) {
        const piece = block.subarray(0, Math.min(left, block.length));
        left -= piece.length;
        stats.sent += piece.length;
        if (!response.write(piece)) return response.once("drain", more);
      }
      response.end();
    };
    return more();
  }
  if (url.pathname === "/up") {
    const hash = createHash("sha256");
    let bytes = 0;
    request.on("data", (chunk) => {
      bytes += chunk.length;
      stats.received += chunk.length;
      hash.update(chunk);
      const pause = Number(url.searchParams.get("pause") ?? 0);
      if (pause) { request.pause(); setTimeout(() => request.resume(), pause); }
    });
    return request.on("end", () => response.end(JSON.stringify({ bytes, sha256: hash.digest("hex") })));
  }
  if (url.pathname === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    let id = 0;
    const timer = setInterval(() => response.write("id: " + ++id + "\ndata: tick\n\n"), 20);
    return response.on("close", () => clearInterval(timer));
  }
  if (url.pathname === "/hang") return;
  response.setHeader("set-cookie", ["sid=1; Path=/; HttpOnly", "clawdspace_session=evil; Path=/"]);
  if (url.pathname === "/redirect") return response.writeHead(302, { location: "/record?from=redirect" }).end();
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => response.end(JSON.stringify({
    method: request.method, url: request.url, headers: request.headers, raw: request.rawHeaders,
    body: Buffer.concat(chunks).toString(),
  })));
});
server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n");
  let held = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (data) => {
    held = Buffer.concat([held, data]);
    for (;;) {
      if (held.length < 2) return;
      const opcode = held[0] & 15;
      let length = held[1] & 127, at = 2;
      if (length === 126) { if (held.length < 4) return; length = held.readUInt16BE(2); at = 4; }
      else if (length === 127) { if (held.length < 10) return; length = Number(held.readBigUInt64BE(2)); at = 10; }
      if (held.length < at + 4 + length) return;
      const mask = held.subarray(at, at + 4);
      const payload = Buffer.from(held.subarray(at + 4, at + 4 + length)).map((byte, i) => byte ^ mask[i % 4]);
      held = held.subarray(at + 4 + length);
      const head = length < 126 ? Buffer.from([128 | opcode, length])
        : length < 65536 ? Buffer.from([128 | opcode, 126, length >> 8, length & 255])
        : Buffer.concat([Buffer.from([128 | opcode, 127]), (() => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(length)); return b; })()]);
      socket.write(Buffer.concat([head, payload]));
      if (opcode === 8) socket.end();
    }
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");
`;

/** Runs a program in a space in the background, with `stdin` as the file that it is given as its first argument. */
export async function runInSpace(
  daemon: Daemon,
  space: string,
  program: string,
  script: string,
  ...args: (string | number)[]
): Promise<void> {
  const file = `/tmp/script-${Math.random().toString(36).slice(2)}`;
  const { status, body } = await daemon.json("POST", `/api/spaces/${space}/exec`, {
    command: `cat > ${file}; ${program} ${file} ${args.join(" ")} >${file}.log 2>&1 &`,
    stdin: script,
  });
  if (status !== 200 || body.exitCode !== 0) throw new Error(JSON.stringify(body));
}

/** Starts the server in a space and resolves when it accepts. */
export async function startSpaceServer(daemon: Daemon, space: string, port: number): Promise<void> {
  await runInSpace(daemon, space, "node", SCRIPT, port);
  await waitForPort(daemon, space, port);
}

export async function waitForPort(daemon: Daemon, space: string, port: number): Promise<void> {
  const { status, body } = await daemon.json("POST", `/api/spaces/${space}/ports/${port}/wait`);
  if (status !== 200) throw new Error(JSON.stringify(body));
}
