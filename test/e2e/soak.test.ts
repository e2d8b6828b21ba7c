import { readdir } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { AuditEvent, Event } from "@clawdspace/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { EventStream } from "../support/event-stream.js";
import { Lab } from "../support/lab.js";
import { TerminalClient } from "../support/terminal.js";

const SPACES = 30;
const CLIENTS = 8;
const SECONDS = 180;
/** What is done to the daemon and its engine, at which second. */
const OUTAGES: [number, "daemon" | "engine"][] = [
  [25, "daemon"],
  [65, "daemon"],
  [105, "engine"],
  [150, "daemon"],
];
/** A request that has no answer by then is blocked. */
const BLOCKED_MS = 60_000;
const STOP_AFTER_MS = 12_000;

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start({
    env: {
      IDLE_TIMEOUT_MS: "2000",
      CLAWDSPACE_STOP_AFTER_MS: `${STOP_AFTER_MS}`,
      HISTORY_INGEST_MS: "2000",
      LOG_LEVEL: "warn",
    },
  });
  const make = async (from: number) => {
    for (let at = from; at < SPACES; at += 4) {
      await lab.space(`s${at}`, { memory: "128m", ...(at % 3 ? {} : { template: "offline" }) });
    }
  };
  await Promise.all([0, 1, 2, 3].map(make));
});
afterAll(() => lab?.stop());

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

/** When the daemon or its engine was down; Infinity where it still is. */
const down: { from: number; to: number }[] = [];
const wasDown = (since: number) => down.some(({ to }) => to >= since);

/** What was answered, to be found in the log: its type, and the command or path that is in it once. */
const answered: { type: string; word: string; at: number }[] = [];
const asked = new Set<string>();
const headers = () => ({ authorization: `Bearer ${lab.key}` });

async function call(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const streamed = path.endsWith("/exec?stream") ? { accept: "application/x-ndjson" } : {};
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({
      socketPath: lab.apiSocket,
      method,
      path,
      agent: false,
      signal: AbortSignal.timeout(BLOCKED_MS),
      headers: {
        ...headers(),
        ...streamed,
        ...(text === undefined ? {} : { "content-type": "application/json" }),
      },
    });
    sent.once("response", resolve).once("error", reject).end(text);
  });
  return answer;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape, compared with what they should be
async function ok(method: string, path: string, body?: unknown, status = 200): Promise<any> {
  const answer = await call(method, path, body);
  const text = (await buffer(answer)).toString();
  if (answer.statusCode !== status) throw new Error(`${method} ${path}: ${text}`);
  return JSON.parse(text);
}

function same(found: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a} where ${b} was wanted`);
}

const done = (type: string, word: string) => void answered.push({ type, word, at: Date.now() });

type Job = (space: string, word: string) => Promise<void>;

const command: Job = async (space, word) => {
  const command = `echo ${word}`;
  asked.add(command);
  const { stdout } = await ok("POST", `/api/spaces/${space}/exec`, { command });
  same(stdout, word);
  done("space.exec", command);
};

/** Longer than the idle timeout, and told line by line. */
const stream: Job = async (space, word) => {
  const command = `for n in 1 2 3; do echo ${word}-$n; sleep 1; done`;
  asked.add(command);
  const answer = await call("POST", `/api/spaces/${space}/exec?stream`, { command });
  const lines = (await buffer(answer)).toString().trimEnd().split("\n");
  const events = lines.map((line) => JSON.parse(line));
  const output = events.filter(({ type }) => type === "stdout").map(({ data }) => data);
  same(output.join(""), `${word}-1\n${word}-2\n${word}-3\n`);
  same(events.at(-1).exitCode, 0);
  done("space.exec", command);
};

const file: Job = async (space, word) => {
  const path = `/api/spaces/${space}/file?path=/${word}`;
  const contentBase64 = Buffer.alloc(20_000, word).toString("base64");
  asked.add(`/${word}`);
  await ok("PUT", path, { contentBase64 });
  done("space.file.write", `/${word}`);
  same((await ok("GET", path)).contentBase64, contentBase64);
};

/** Looks only: nothing here wakes a space. */
const look: Job = async (space) => {
  await ok("GET", `/api/spaces/${space}/files?path=/`);
  await ok("GET", `/api/spaces/${space}/stats`);
  same((await ok("GET", "/api/spaces")).spaces.length, SPACES);
};

const background: Job = async (space, word) => {
  const path = `/api/spaces/${space}/processes`;
  const command = `sleep 2.5; echo ${word}`;
  asked.add(command);
  const { process } = await ok("POST", path, { command }, 201);
  done("process.start", command);
  const answer = await call("GET", `${path}/${process.id}/output?follow=1`);
  const text = (await buffer(answer)).toString();
  if (!text.includes(`${word}\\n`)) throw new Error(`no ${word} in ${text}`);
};

/** Typed into, left alone for longer than the idle timeout, and typed into again. */
const terminal: Job = async (space, word) => {
  const socket = new WebSocket(`ws+unix:${lab.apiSocket}:/api/spaces/${space}/terminal`, {
    headers: headers(),
    handshakeTimeout: BLOCKED_MS,
  });
  const client = new TerminalClient(socket);
  try {
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    client.type(`echo ${word}""-one\n`);
    await client.sees(`${word}-one\r\n`);
    await delay(2500);
    client.type(`echo ${word}""-two\n`);
    await client.sees(`${word}-two\r\n`);
  } finally {
    socket.terminate();
  }
};

const stopAndWake: Job = async (space) => {
  await ok("POST", `/api/spaces/${space}/stop`);
  await ok("POST", `/api/spaces/${space}/start`);
};

const JOBS: [number, Job][] = [
  [0.34, command],
  [0.44, stream],
  [0.66, file],
  [0.74, look],
  [0.83, background],
  [0.93, terminal],
  [1, stopAndWake],
];

const failures: string[] = [];
let jobs = 0;
let repeated = 0;
let slowest = 0;

/** Does a job, again where the daemon or its engine was down meanwhile; any other failure counts. */
async function survive(name: string, space: string, job: Job, word: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const began = Date.now();
    try {
      await job(space, `${word}-${attempt}`);
      jobs++;
      if (!wasDown(began)) slowest = Math.max(slowest, Date.now() - began);
      return;
    } catch (error) {
      const blocked = error instanceof Error && error.name === "AbortError";
      if (!wasDown(began) || blocked) {
        const at = `${(began - start) / 1000} s to ${(Date.now() - start) / 1000} s`;
        failures.push(`${name} in ${space}, ${at}: ${error}`);
        return;
      }
      repeated++;
      await delay(200);
    }
  }
}

let start = 0;
const left = () => start + SECONDS * 1000 - Date.now();

async function client(id: number): Promise<void> {
  const next = random(id);
  for (let n = 0; left() > 0; n++) {
    const space = `s${Math.floor(next() * SPACES)}`;
    const chance = next();
    const job = JOBS.find(([upTo]) => chance < upTo)?.[1] ?? command;
    await survive(job.name, space, job, `w${id}-${n}`);
    await delay(next() * 600);
  }
}

async function disturb(): Promise<void> {
  for (const [second, what] of OUTAGES) {
    await delay(start + second * 1000 - Date.now());
    const outage = { from: Date.now(), to: Number.POSITIVE_INFINITY };
    down.push(outage);
    if (what === "engine") {
      await lab.stopEngine();
      await lab.startEngine();
    } else {
      await lab.stopDaemon("SIGKILL");
      await lab.startDaemon();
    }
    const works = () =>
      ok("GET", "/api/spaces").then(
        () => true,
        () => false,
      );
    while (!(await works())) await delay(50);
    outage.to = Date.now();
  }
}

/** Every event that can be had, over the ends of the daemon. */
async function follow(events: Event[], until: AbortSignal): Promise<void> {
  const where = { socketPath: lab.apiSocket, path: "/api/events", headers: headers() };
  while (!until.aborted) {
    const stream = await EventStream.open(where, events.at(-1)?.id).catch(() => undefined);
    const stop = () => void stream?.close();
    until.addEventListener("abort", stop);
    await stream?.ended;
    until.removeEventListener("abort", stop);
    events.push(...(stream?.events ?? []));
    await delay(20);
  }
}

async function wholeLog(): Promise<AuditEvent[]> {
  const answer = await call("GET", "/api/audit?format=jsonl");
  const text = (await buffer(answer)).toString();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** What a log's event is about, as the jobs name it. */
const wordOf = ({ meta }: AuditEvent) => String(meta?.command ?? meta?.path);

function checkLog(log: AuditEvent[]): void {
  const found = new Map<string, AuditEvent[]>();
  for (const event of log) {
    const word = wordOf(event);
    if (asked.has(word)) found.set(word, [...(found.get(word) ?? []), event]);
  }
  const lost = answered.filter(({ type, word }) => {
    const events = found.get(word) ?? [];
    return events.length !== 1 || events[0]?.type !== type || events[0]?.meta?.outcome !== "ok";
  });
  expect(lost).toEqual([]);
  const twice = [...found].filter(([, events]) => events.length > 1).map(([word]) => word);
  expect(twice).toEqual([]);
  const ends = (type: string) => log.filter((event) => event.type === type).length;
  expect(ends("terminal.close")).toBe(ends("terminal.open"));
}

/** Of each life of the daemon all events come, in order; the last ones before a kill may have gone with it. */
function checkEvents(events: Event[]): void {
  const lives = new Map<string, number>();
  for (const { id, type } of events) {
    const [life = "", number] = id.split("-");
    if (type === "stream.reset") expect(lives.has(life)).toBe(false);
    // The first one had events before anybody followed it.
    else if (lives.size > 0) expect(Number(number)).toBe((lives.get(life) ?? 0) + 1);
    lives.set(life, Number(number));
  }
  expect(lives.size).toBe(OUTAGES.filter(([, what]) => what === "daemon").length + 1);
  const told = new Set(
    events.filter(({ type }) => type === "exec.finished").map(({ data }) => data?.command),
  );
  const missing = answered.filter(
    ({ type, word, at }) =>
      type === "space.exec" &&
      !told.has(word) &&
      !down.some(({ from }) => at > from - 2000 && at < from),
  );
  expect(missing).toEqual([]);
}

test(`${CLIENTS} clients over ${SPACES} spaces that sleep after 2 s, for ${SECONDS} s, with the daemon killed three times and the engine restarted`, async () => {
  start = Date.now();
  const events: Event[] = [];
  const enough = new AbortController();
  const following = follow(events, enough.signal);
  await Promise.all([disturb(), ...Array.from({ length: CLIENTS }, (_, id) => client(id))]);
  expect(failures).toEqual([]);

  // Nothing that has ended keeps a space awake.
  const awake = async () => {
    const { spaces } = await ok("GET", "/api/spaces");
    return spaces.filter(({ status }: { status: string }) => status === "running");
  };
  await expect.poll(awake, { timeout: 30_000, interval: 200 }).toEqual([]);
  const log = await wholeLog();
  checkLog(log);
  expect(await ok("GET", "/api/audit/verify")).toMatchObject({ ok: true, faults: [] });
  enough.abort();
  await following;
  checkEvents(events);

  const remove = async (from: number) => {
    for (let at = from; at < SPACES; at += 4) {
      await ok("DELETE", `/api/spaces/s${at}?removeVolume=1`);
    }
  };
  await Promise.all([0, 1, 2, 3].map(remove));
  const leftovers = async () => {
    const containers = await lab.docker.listContainers({ all: true });
    const { Volumes } = await lab.docker.listVolumes();
    const files = await Promise.all(
      ["env", "unfinished"].map((each) => readdir(join(lab.folder, "data", each)).catch(() => [])),
    );
    return [
      ...containers.map(({ Names }) => Names[0]),
      ...(Volumes ?? []).map(({ Name }) => Name).filter((name) => /-vol-/.test(name)),
      ...files.flat(),
    ];
  };
  await expect.poll(leftovers, { timeout: 20_000, interval: 500 }).toEqual([]);
  expect(lab.daemonLog).not.toContain("unhandled rejection");
  const slept = (type: string) =>
    log.filter((event) => event.type === type && event.actor === "system").length;
  console.log(
    `${jobs} jobs, ${repeated} done again after an outage; ${slept("space.pause")} pauses and ${slept("space.stop")} stops; ` +
      `${log.length} logged, ${events.length} events; the slowest job took ${slowest} ms; ` +
      `down for ${down.map(({ from, to }) => `${to - from} ms`).join(", ")}`,
  );
  expect(slept("space.pause")).toBeGreaterThan(50);
}, 420_000);
