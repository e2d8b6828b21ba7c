import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { Clawdspace as FetchClient } from "./clawdspace.js";
import { Clawdspace, ClawdspaceError, outputBytes } from "./node.js";

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

const ID = "0123456789abcdef0123456789abcdef";
let server: Server;
let handle: Handler;
let seen: { method: string; url: string; headers: IncomingMessage["headers"]; body: string }[];
let client: Clawdspace;

const json = (response: ServerResponse, body: unknown, status = 200) =>
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

beforeEach(async () => {
  seen = [];
  server = createServer(async (request, response) => {
    const { method = "", url = "", headers } = request;
    seen.push({ method, url, headers, body: (await buffer(request)).toString() });
    await handle(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  client = new Clawdspace({ baseUrl: `http://127.0.0.1:${port}/`, key: "k1" });
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function failure(task: Promise<unknown>): Promise<ClawdspaceError> {
  const error = await task.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ClawdspaceError)) throw new Error(`not a ClawdspaceError: ${error}`);
  return error;
}

const take = async <T>(source: AsyncIterable<T>, count: number): Promise<T[]> => {
  const taken: T[] = [];
  for await (const each of source) if (taken.push(each) === count) break;
  return taken;
};

describe.each(["node:http", "fetch"])("requests by %s", (way) => {
  beforeEach(() => {
    if (way === "fetch") client = new FetchClient({ baseUrl: client.baseUrl, key: "k1" });
  });

  it("carry the key and bring the parsed answer", async () => {
    handle = (_, response) => json(response, { status: "ok", version: "1.2.3", more: 1 });
    expect(await client.health()).toEqual({ status: "ok", version: "1.2.3" });
    expect(seen[0]).toMatchObject({ url: "/api/health", headers: { authorization: "Bearer k1" } });
  });

  it("turn the daemon's errors into ClawdspaceErrors with code and issues", async () => {
    const issues = [{ path: "name", message: "bad" }];
    handle = (_, response) =>
      json(response, { error: "No.", code: "invalid_request", issues }, 400);
    const error = await failure(client.spaces.create({ name: "a b" }));
    expect(error).toMatchObject({ code: "invalid_request", message: "No.", issues, status: 400 });
  });

  it("tell what else answers at the address", async () => {
    handle = (_, response) => response.writeHead(404).end("<html>");
    const error = await failure(client.spaces.list());
    expect(error.code).toBe("not_found");
    expect(error.message).toContain("not as a Clawdspace daemon does");
    handle = (_, response) => response.end("<html>");
    expect((await failure(client.spaces.list())).message).toContain("of another version");
  });

  it("name the address and what to do where nothing answers", async () => {
    const gone = createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const { port } = gone.address() as { port: number };
    await new Promise((resolve) => gone.close(resolve));
    const baseUrl = `http://127.0.0.1:${port}`;
    const away = way === "fetch" ? new FetchClient({ baseUrl }) : new Clawdspace({ baseUrl });
    const error = await failure(away.health());
    expect(error.code).toBe("unreachable");
    expect(error.message).toContain(`${baseUrl} (`);
    expect(error.message).toMatch(/ECONNREFUSED.*Is the daemon running there/);
  });

  it("tell why what they were to carry could not be read, and blame no server", async () => {
    handle = (request, response) => request.resume().on("end", () => json(response, {}));
    const body = async function* () {
      yield new Uint8Array(3);
      throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    };
    const writing = new Clawdspace({ baseUrl: client.baseUrl })
      .space("dev")
      .files.write("/f", body());
    await expect(writing).rejects.toMatchObject({ code: "ENOENT", message: "no such file" });
  });

  it("end after the time-out, and with the caller's signal for the caller's reason", async () => {
    handle = () => {};
    const options = { baseUrl: client.baseUrl, timeoutMs: 50 };
    const hasty = way === "fetch" ? new FetchClient(options) : new Clawdspace(options);
    expect((await failure(hasty.system())).code).toBe("timed_out");
    const stop = new AbortController();
    const listing = client.spaces.list({ signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(listing).rejects.toThrow("enough");
  });

  it("stream a command's output, and gather it", async () => {
    const lines = [
      { type: "stdout", data: "grü", offset: 0 },
      { type: "stderr", data: "oops\n", offset: 4 },
      { type: "stdout", data: "n\n", offset: 9 },
      { type: "exit", exitCode: 3 },
    ];
    handle = async (_, response) => {
      // Cut inside a character and inside a line.
      const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      for (let at = 0; at < bytes.length; at += 7) {
        response.write(bytes.subarray(at, at + 7));
        await new Promise(setImmediate);
      }
      response.end();
    };
    const command = client.space("dev").exec(["ls", "a b"], { cwd: "/x" });
    const events = [];
    for await (const event of command) events.push(event);
    expect(events).toEqual(lines);
    const result = { stdout: "grün\n", stderr: "oops\n", exitCode: 3 };
    expect(await command.wait()).toEqual(result);
    expect(await client.space("dev").exec("x").wait()).toEqual(result);
    expect(seen[0]).toMatchObject({ method: "POST", url: "/api/spaces/dev/exec" });
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({ command: ["ls", "a b"], cwd: "/x" });
    const cut = await client.space("dev").exec("x", { maxOutputBytes: 3 }).wait();
    expect(cut).toMatchObject({ stdoutTruncatedBytes: 3, stderr: "oop", stderrTruncatedBytes: 2 });
  });

  it("throw what goes wrong inside a stream", async () => {
    handle = (_, response) =>
      response.end('{"type":"error","error":"Gone.","code":"wrong_state"}\n');
    expect(await failure(client.space("dev").exec("x").wait())).toMatchObject({
      code: "wrong_state",
      message: "Gone.",
    });
    handle = (_, response) => response.end('{"type":"stdout","data":"a","offset":0}\n');
    expect((await failure(client.space("dev").exec("x").wait())).code).toBe("unreachable");
  });

  it("send and fetch files as bytes", async () => {
    handle = (request, response) => {
      if (request.method === "GET") return response.end(Buffer.from([0, 255, 10]));
      return json(response, { message: "ok", path: "/a", size: 3 });
    };
    const files = client.space("dev").files;
    expect([...(await files.read(new Uint8Array([47, 255])))]).toEqual([0, 255, 10]);
    expect(seen[0]?.url).toBe("/api/spaces/dev/files/raw?pathBase64=L%2F8%3D");
    await files.write("/a b", "text", { mode: "600", ifNoneMatch: "*" });
    expect(seen[1]).toMatchObject({
      url: "/api/spaces/dev/files/raw?path=%2Fa+b&mode=600",
      body: "text",
      headers: { "content-type": "application/octet-stream", "if-none-match": "*" },
    });
    const pieces = async function* () {
      yield Buffer.from("one ");
      yield Buffer.from("two");
    };
    await files.write("/b", pieces());
    expect(seen[2]?.body).toBe("one two");
    handle = (_, response) => json(response, { message: "ok", files: [] });
    await files.upload("/", [{ name: "x/y", data: "content" }]);
    expect(seen[3]?.headers["content-type"]).toContain("multipart/form-data; boundary=");
    expect(seen[3]?.body).toContain('filename="x/y"');
  });
});

it("goes on with a process's output after a lost connection, at the next byte", async () => {
  const states: string[] = [];
  const line = (value: unknown) => `${JSON.stringify(value)}\n`;
  handle = (request, response) => {
    const from = new URL(request.url ?? "", "http://x").searchParams.get("from");
    if (from === "0") {
      response.write(line({ type: "stdout", data: "ä", offset: 0 }), () => response.destroy());
    } else if (from === "2") {
      response.write(line({ type: "stdout", data: "/w==", encoding: "base64", offset: 2 }));
      response.end(line({ type: "more", offset: 3 }));
    } else response.end(line({ type: "exit", offset: 3, exitCode: 0 }));
  };
  const pieces: number[] = [];
  const output = client
    .space("dev")
    .processes.output(ID, { onState: (state) => states.push(state) });
  for await (const event of output) if ("data" in event) pieces.push(...outputBytes(event));
  expect(pieces).toEqual([0xc3, 0xa4, 0xff]);
  expect(states).toEqual(["reconnecting", "open"]);
});

it("ends where a process that still runs has written no more, unless it follows", async () => {
  const asked: (string | null)[] = [];
  const line = (value: unknown) => `${JSON.stringify(value)}\n`;
  handle = ({ url }, response) => {
    const from = new URL(url ?? "", "http://x").searchParams.get("from");
    asked.push(from);
    if (from === "0") response.write(line({ type: "stdout", data: "hi", offset: 0 }));
    response.end(line({ type: "more", offset: 2 }));
  };
  const pieces: string[] = [];
  for await (const event of client.space("dev").processes.output(ID, { follow: false })) {
    if ("data" in event) pieces.push(event.data);
  }
  expect(pieces).toEqual(["hi"]);
  expect(asked).toEqual(["0", "2"]);
});

it("follows events over lost connections with the last id, and gives up where it may not", async () => {
  const states: string[] = [];
  const event = (id: string) => ({
    id,
    ts: "2026-01-01T00:00:00Z",
    type: "space.paused",
    space: "a",
  });
  const message = (id: string) => `id: ${id}\ndata: ${JSON.stringify(event(id))}\n\n`;
  handle = (request, response) => {
    const last = request.headers["last-event-id"];
    if (last === undefined) response.write(`:\n\n${message("1")}`, () => response.destroy());
    else if (last === "1")
      response.end(`${message("2")}event: closed\ndata: {"type":"closed"}\n\n`);
    else json(response, { error: "Unauthorized", code: "unauthorized" }, 401);
  };
  const types = ["space.paused", "space.woken"] as const;
  const events = client.events({ types: [...types], onState: (state) => states.push(state) });
  expect(await events.next()).toEqual({ done: false, value: event("1") });
  expect(await events.next()).toEqual({ done: false, value: event("2") });
  expect((await failure(events.next())).code).toBe("unauthorized");
  expect(states).toEqual(["open", "reconnecting", "open", "reconnecting"]);
  expect(seen[0]?.url).toBe("/api/events?types=space.paused%2Cspace.woken");
});

it("says that a watch may have missed something", async () => {
  let round = 0;
  const changed = { type: "modified", path: "/a", dir: false };
  handle = (_, response) => {
    round += 1;
    response.end(`event: modified\ndata: ${JSON.stringify(changed)}\n\n`);
  };
  const watch = client.space("dev").files.watch("/", { recursive: true });
  expect(await take(watch, 3)).toEqual([changed, { type: "overflow" }, changed]);
  expect(round).toBe(2);
});

it("tells of a create's progress", async () => {
  const space = {
    name: "dev",
    id: "0123456789ab",
    status: "running",
    created: "2026-01-01T00:00:00Z",
    started: null,
    image: "i",
    memory: 1,
    cpus: 1,
    lastActivity: "2026-01-01T00:00:00Z",
  };
  const progress = { type: "progress", step: "image", message: "layer", current: 1, total: 2 };
  handle = (_, response) =>
    response.end(`${JSON.stringify(progress)}\n${JSON.stringify({ type: "space", space })}\n`);
  const told: unknown[] = [];
  const made = await client.spaces.create(
    { name: "dev" },
    { onProgress: (each) => told.push(each) },
  );
  expect(told).toEqual([progress]);
  expect(made).toMatchObject({ name: "dev", info: space });
  expect(seen[0]?.headers.accept).toBe("application/x-ndjson");
});

describe("a terminal", () => {
  let sockets: WebSocketServer;

  beforeEach(() => {
    sockets = new WebSocketServer({ server });
  });
  afterEach(() => sockets.close());

  it("carries bytes, sizes and the end", async () => {
    const got: string[] = [];
    sockets.on("connection", (socket, request) => {
      got.push(`${request.url} ${request.headers.authorization}`);
      socket.send(Buffer.from([1, 255]));
      socket.on("message", (data, isBinary) => {
        got.push(`${isBinary ? "bytes" : "text"} ${data}`);
        if (got.length === 4) socket.close(1000, "ended by SIGKILL");
      });
    });
    const terminal = await client.space("dev").terminal({ session: "s", cols: 80, rows: 24 });
    const shown: number[] = [];
    terminal.onData((bytes) => shown.push(...bytes));
    terminal.write("ls\n");
    terminal.write(new TextEncoder().encode("x"));
    terminal.resize(100, 30);
    expect(await terminal.closed).toEqual({
      code: 1000,
      reason: "ended by SIGKILL",
      exitCode: 137,
    });
    expect(shown).toEqual([1, 255]);
    expect(got).toEqual([
      "/api/spaces/dev/terminal?session=s&cols=80&rows=24 Bearer k1",
      'text {"type":"input","data":"ls\\n"}',
      "bytes x",
      'text {"type":"resize","cols":100,"rows":30}',
    ]);
  });

  it("that is refused tells why", async () => {
    server.removeAllListeners("upgrade");
    server.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 404 Not Found\r\n\r\n"));
    handle = (_, response) => json(response, { error: 'No "dev".', code: "not_found" }, 404);
    expect(await failure(client.space("dev").terminal())).toMatchObject({
      code: "not_found",
      message: 'No "dev".',
    });
  });
});
