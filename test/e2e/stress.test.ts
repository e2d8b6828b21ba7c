import { createHash } from "node:crypto";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { HttpClient } from "../support/http-client.js";
import { engineObjects, holdings } from "../support/leaks.js";

const SPACES = 20;
const CLIENTS = 16;
const REQUESTS = 200;
/** How many requests have been done when the daemon is killed. */
const KILLS = [50, 110, 160];
const FLOOD_BYTES = 50 * 1024 ** 2;
const FLOOD = `seq 1 8000000 | head -c ${FLOOD_BYTES}`;
const NDJSON = "application/x-ndjson";

let daemon: Daemon;
let client: HttpClient;
let killing: Promise<void> = Promise.resolve();
let life = 0;

beforeAll(async () => {
  daemon = await startDaemon({ LOG_LEVEL: "warn" });
  client = new HttpClient(daemon);
  for (let at = 0; at < SPACES; at += 4) {
    await Promise.all(
      [0, 1, 2, 3].map((more) => daemon.space(`s${at + more}`, { memory: "128m" })),
    );
  }
});
afterAll(async () => {
  client.close();
  await daemon.stop();
});

/** The same numbers at every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Does a job again where the daemon was killed under it; any other failure counts. */
async function survive(job: () => Promise<void>): Promise<void> {
  for (;;) {
    const began = life;
    try {
      await killing;
      return await job();
    } catch (error) {
      await killing;
      if (life === began) throw error;
    }
  }
}

async function exec(space: string, body: object, expected: object): Promise<void> {
  const answer = await client.json("POST", `/api/spaces/${space}/exec`, body);
  expect(answer).toEqual({
    status: 200,
    body: { stdout: "", stderr: "", exitCode: 0, ...expected },
  });
}

const floodHash = (() => {
  const hash = createHash("sha256");
  let left = FLOOD_BYTES;
  let lines: string[] = [];
  for (let number = 1; left > 0; number++) {
    lines.push(`${number}\n`);
    if (lines.length < 10_000) continue;
    const text = lines.join("").slice(0, left);
    hash.update(text);
    left -= text.length;
    lines = [];
  }
  return hash.digest("hex");
})();

/** Each line's value. Rejects where the connection breaks, which a readline interface would not tell. */
async function* events(stream: Readable) {
  let rest = "";
  for await (const piece of stream.setEncoding("utf8") as AsyncIterable<string>) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

/** 50 MiB as a stream, compared to the byte; `wait` makes the reader slow, `leaveAt` makes it leave. */
async function flood(space: string, options: { wait?: number; leaveAt?: number }): Promise<void> {
  const abort = new AbortController();
  const answer = await client.send(
    "POST",
    `/api/spaces/${space}/exec`,
    { command: FLOOD },
    { accept: NDJSON, signal: abort.signal },
  );
  expect(answer.statusCode).toBe(200);
  const hash = createHash("sha256");
  let bytes = 0;
  let exitCode: number | undefined;
  for await (const event of events(answer)) {
    if (event.type === "exit") exitCode = event.exitCode;
    if (event.type !== "stdout") continue;
    expect(event.offset).toBe(bytes);
    hash.update(event.data);
    bytes += Buffer.byteLength(event.data);
    if (options.leaveAt !== undefined && bytes > options.leaveAt) {
      abort.abort();
      return;
    }
    if (options.wait) await delay(options.wait);
  }
  expect({ bytes, exitCode, hash: hash.digest("hex") }).toEqual({
    bytes: FLOOD_BYTES,
    exitCode: 0,
    hash: floodHash,
  });
}

async function fileRoundTrip(space: string, name: string, content: Buffer): Promise<void> {
  const path = `/api/spaces/${space}/file?path=/${name}`;
  const contentBase64 = content.toString("base64");
  expect((await client.json("PUT", path, { contentBase64 })).status).toBe(200);
  const { body } = await client.json("GET", `${path}&maxBytes=${content.length}`);
  expect(body.contentBase64 === contentBase64).toBe(true);
}

async function createAndRemove(name: string, leaveAfter: number | undefined): Promise<void> {
  const abort = new AbortController();
  const timer = leaveAfter === undefined ? undefined : setTimeout(() => abort.abort(), leaveAfter);
  try {
    const create = { name, memory: "64m", env: { A: name } };
    const { status } = await client.json("POST", "/api/spaces", create, { signal: abort.signal });
    // A create under which the daemon was killed may have been done.
    expect([201, 409]).toContain(status);
    await exec(name, { command: "echo $A" }, { stdout: name });
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  const { status } = await client.json("DELETE", `/api/spaces/${name}?removeVolume=1`);
  expect(leaveAfter === undefined ? [200] : [200, 404]).toContain(status);
}

async function leaveMidway(space: string, after: number): Promise<void> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), after);
  const request = { command: "sleep 300 & (setsid sleep 301 &); sleep 302" };
  await client
    .json("POST", `/api/spaces/${space}/exec`, request, { signal: abort.signal })
    .then(
      () => Promise.reject(new Error("it should not have been answered")),
      (error: unknown) => (abort.signal.aborted ? undefined : Promise.reject(error)),
    )
    .finally(() => clearTimeout(timer));
}

async function terminal(space: string, word: string): Promise<void> {
  const url = `${daemon.url.replace("http", "ws")}/api/spaces/${space}/terminal?key=${daemon.key}`;
  const socket = new WebSocket(url);
  let shown = "";
  socket.on("message", (data) => {
    shown += data.toString();
  });
  const closed = once(socket, "close");
  try {
    await once(socket, "open");
    socket.send(`echo ${word.slice(0, 3)}""${word.slice(3)}\n`);
    const until = Date.now() + 20_000;
    while (!shown.includes(`${word}\r\n`) && Date.now() < until && socket.readyState === 1)
      await delay(20);
    expect(shown).toContain(`${word}\r\n`);
  } finally {
    socket.terminate();
    await closed.catch(() => {});
  }
}

/** Request number `index`: what it is follows from the number alone. */
async function request(index: number): Promise<void> {
  const next = random(index);
  const space = `s${Math.floor(next() * SPACES)}`;
  const word = `word-${index}`;
  const chance = next();
  // Two floods read fast, two slowly, four left midway.
  if (index % 50 === 7) return await flood(space, {});
  if (index % 100 === 31) return await flood(space, { wait: 4 });
  if (index % 50 === 19) return await flood(space, { leaveAt: next() * FLOOD_BYTES });
  if (chance < 0.3) return await exec(space, { command: `echo ${word}` }, { stdout: word });
  if (chance < 0.36)
    return await exec(space, { command: `exit ${index % 256}` }, { exitCode: index % 256 });
  if (chance < 0.42) {
    const stdin = word.repeat(20_000);
    return await exec(space, { command: "wc -c", stdin }, { stdout: `${stdin.length}` });
  }
  if (chance < 0.47) {
    const timed = { stdout: word, exitCode: 137, timedOut: true };
    return await exec(space, { command: `echo ${word}; sleep 300`, timeoutMs: 300 }, timed);
  }
  if (chance < 0.57) return await leaveMidway(space, next() * 500);
  if (chance < 0.67) return await fileRoundTrip(space, word, Buffer.alloc(65_536, word));
  if (chance < 0.73) {
    // What others run there is frozen until the wake.
    for (const action of ["stop", "start"]) {
      const { status } = await client.json("POST", `/api/spaces/${space}/${action}`);
      expect(status).toBe(200);
    }
    return;
  }
  if (chance < 0.79) {
    const { status, body } = await client.json("GET", "/api/spaces");
    const names = body.spaces.map(({ name }: { name: string }) => name);
    expect(status).toBe(200);
    return expect(names.filter((name: string) => /^s\d+$/.test(name))).toHaveLength(SPACES);
  }
  if (chance < 0.84) {
    const { body } = await client.json("GET", `/api/spaces/${space}/stats`);
    return expect(body.stats.memoryLimitBytes).toBe(128 * 1024 ** 2);
  }
  if (chance < 0.89) return await createAndRemove(word, undefined);
  if (chance < 0.93) return await createAndRemove(word, next() * 600);
  if (chance < 0.97) return await terminal(space, word);
  const { status } = await client.json("POST", `/api/spaces/${space}/exec`, { command: 7 });
  return expect(status).toBe(400);
}

/** Wakes every space, so that the daemon is connected to all of them. */
const touchAll = () =>
  Promise.all(Array.from({ length: SPACES }, (_, at) => exec(`s${at}`, { command: "true" }, {})));

test(`${REQUESTS} requests from ${CLIENTS} clients over ${SPACES} spaces, with aborts, floods, slow readers and ${KILLS.length} kills of the daemon, leak nothing and get the right answers`, async () => {
  await touchAll();
  const idle = await holdings(daemon.pid);
  const before = await engineObjects(daemon.namespace);
  let next = 0;
  let done = 0;
  const kills = [...KILLS];
  const began = Date.now();
  const inFlight = new Set<number>();
  const watch = setInterval(() => {
    if (Date.now() - began > 60_000) console.log(`${done} done, in flight: ${[...inFlight]}`);
  }, 10_000);
  const worker = async () => {
    while (next < REQUESTS) {
      const index = next++;
      inFlight.add(index);
      await survive(() => request(index)).catch((error: unknown) => {
        // Nobody goes on under a second try.
        next = REQUESTS;
        throw error;
      });
      inFlight.delete(index);
      done++;
      if (done === kills[0]) {
        kills.shift();
        life++;
        killing = daemon.restart("SIGKILL");
      }
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: CLIENTS }, worker));
  clearInterval(watch);
  for (const each of workers) if (each.status === "rejected") throw each.reason;
  const seconds = (Date.now() - began) / 1000;
  expect(kills).toEqual([]);

  const busy = await holdings(daemon.pid);
  client.close();
  await touchAll();
  client.close();
  await expect
    .poll(() => engineObjects(daemon.namespace), { timeout: 30_000, interval: 500 })
    .toEqual({ ...before, processes: [], execs: 0 });
  await expect
    .poll(async () => (await holdings(daemon.pid)).sockets, { timeout: 30_000, interval: 500 })
    .toBeLessThanOrEqual(idle.sockets + 4);
  const after = await holdings(daemon.pid);
  expect(after.others).toBeLessThanOrEqual(idle.others + 4);
  // Far less than what has gone through it; a leak of one buffered flood in ten would show.
  expect(after.rssMiB).toBeLessThan(400);
  expect(daemon.log).not.toMatch(/unhandled rejection/);
  console.log(
    `${REQUESTS} requests in ${seconds.toFixed(1)} s, ${KILLS.length} kills\n` +
      `idle before: ${JSON.stringify(idle)}\nat the end: ${JSON.stringify(busy)}\nidle after: ${JSON.stringify(after)}\n` +
      `engine: ${before.containers.length} containers, ${before.volumes.length} volumes before and after, no process and no exec left`,
  );
});
