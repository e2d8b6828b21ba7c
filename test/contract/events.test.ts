import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { Event } from "@clawdspace/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { EventStream } from "../support/event-stream.js";

const SECRET = `whsec_${Buffer.from("a secret of twenty-four.").toString("base64")}`;

/** A webhook's receiver, which can be told to fail. */
class Receiver {
  readonly posts: { headers: IncomingHttpHeaders; body: string; at: number }[] = [];
  failures = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, answer) => {
      const body = await text(request);
      this.posts.push({ headers: request.headers, body, at: Date.now() });
      answer.writeHead(this.failures-- > 0 ? 500 : 204).end();
    });
  }

  async listen(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  get events(): Event[] {
    return this.posts.map(({ body }) => JSON.parse(body));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let daemon: Daemon;
const receiver = new Receiver();
const open: EventStream[] = [];

beforeAll(async () => {
  daemon = await startDaemon({
    CLAWDSPACE_WEBHOOKS: await receiver.listen(),
    CLAWDSPACE_WEBHOOK_SECRET: SECRET,
    CLAWDSPACE_METRICS_MS: "500",
  });
});
afterAll(async () => {
  for (const stream of open) await stream.close();
  await daemon.stop();
  receiver.close();
});

async function follow(query = "", lastEventId?: string, key = daemon.key): Promise<EventStream> {
  const { hostname, port } = new URL(daemon.url);
  const headers = { authorization: `Bearer ${key}` };
  const stream = await EventStream.open(
    { hostname, port, path: `/api/events?${query}`, headers },
    lastEventId,
  );
  open.push(stream);
  return stream;
}

const exec = async (space: string, command: string) =>
  (await ask(daemon, "POST", `/api/spaces/${space}/exec`, { command })).body;
const types = (stream: EventStream) => stream.events.map(({ type }) => type);

describe("the events", () => {
  test("tell what becomes of a space and what is done in it, in order, with who did it", async () => {
    const stream = await follow("space=dev");
    await daemon.space("dev");
    await daemon.space("other");
    await exec("dev", "exit 3");
    await ask(daemon, "PUT", "/api/spaces/dev/file?path=/a.txt", { contentBase64: "" });
    await ask(daemon, "POST", "/api/spaces/dev/stop");
    await stream.sees(({ type }) => type === "space.paused");
    await exec("dev", "true");
    await ask(daemon, "DELETE", "/api/spaces/dev?removeVolume=1");
    await stream.sees(({ type }) => type === "space.removed");
    // A removal ends what runs first, which may be told before it.
    expect(types(stream).filter((type) => type !== "space.stopped")).toEqual([
      ...["space.created", "exec.started", "exec.finished", "file.changed", "space.paused"],
      ...["exec.started", "space.woken", "exec.finished", "space.removed"],
    ]);
    expect(stream.events.every(({ space }) => space === "dev")).toBe(true);
    expect(stream.events[2]).toMatchObject({
      actor: "key:owner",
      data: { command: "exit 3", exitCode: 3, outcome: "ok" },
    });
    expect(stream.events[3]?.data).toMatchObject({ action: "space.file.write", path: "/a.txt" });
  });

  test("tell what others do to the containers", async () => {
    await daemon.space("outside");
    const stream = await follow("space=outside");
    const container = docker.getContainer(`${daemon.namespace}-outside`);
    for (const [change, type] of [
      [() => container.pause(), "space.paused"],
      [() => container.unpause(), "space.woken"],
      [() => container.stop({ t: 1 }), "space.stopped"],
      [() => container.start(), "space.started"],
      [() => container.remove({ force: true }), "space.removed"],
    ] as const) {
      await change();
      await stream.sees((event) => event.type === type);
    }
  });

  test("tell of a space that ran out of memory", async () => {
    await daemon.space("greedy", { memory: "64m" });
    const stream = await follow("space=greedy&types=space.oom");
    const { exitCode } = await exec("greedy", "python3 -c 'x = bytearray(200 * 1024 ** 2)'");
    expect(exitCode).toBe(137);
    await stream.sees(({ type }) => type === "space.oom");
  });

  test("are resumed after the last one that was seen, by header or by query", async () => {
    const first = await follow();
    await daemon.space("resumed");
    await first.sees(({ space, type }) => space === "resumed" && type === "space.created");
    const { lastId } = first;
    await first.close();
    for (let n = 0; n < 5; n++) await exec("resumed", `: ${n}`);
    const byHeader = await follow("types=exec.finished", lastId);
    await byHeader.sees(({ data }) => data?.command === ": 4");
    expect(byHeader.events.map(({ data }) => data?.command)).toEqual(
      [0, 1, 2, 3, 4].map((n) => `: ${n}`),
    );
    const byQuery = await follow(`types=exec.finished&lastEventId=${lastId}`);
    await byQuery.sees(({ data }) => data?.command === ": 4");
    expect(byQuery.events).toEqual(byHeader.events);
  });

  test("are refused to no key, and show a limited key its own spaces alone", async () => {
    expectError(
      await ask(daemon, "GET", "/api/events", undefined, { headers: { authorization: "" } }),
      "unauthorized",
    );
    const bot = { name: "bot", role: "agent", spaces: ["bot-*"] };
    const { secret } = (await ask(daemon, "POST", "/api/keys", bot)).body;
    const stream = await follow("", undefined, secret);
    await daemon.space("mine");
    await daemon.space("bot-1");
    await stream.sees(({ space }) => space === "bot-1");
    expect(new Set(stream.events.map(({ space }) => space))).toEqual(new Set(["bot-1"]));
  });
});

describe("webhooks", () => {
  test("get the same events in the same order, signed; a receiver that fails gets them again, later each time", async () => {
    const stream = await follow();
    await daemon.space("hooked");
    const created = await stream.sees(({ space }) => space === "hooked");
    await expect
      .poll(() => receiver.events.some(({ id }) => id === created.id), { timeout: 20_000 })
      .toBe(true);

    const from = receiver.posts.length;
    receiver.failures = 2;
    await exec("hooked", "echo told");
    const finished = await stream.sees(({ data, type }) => {
      return type === "exec.finished" && data?.command === "echo told";
    });
    await expect
      .poll(() => receiver.events.some(({ id }) => id === finished.id), { timeout: 20_000 })
      .toBe(true);
    const posts = receiver.posts.slice(from);
    const [one, two, three] = posts;
    expect(new Set([one, two, three].map((post) => post?.headers["webhook-id"])).size).toBe(1);
    const wait = (two?.at ?? 0) - (one?.at ?? 0);
    expect(wait).toBeGreaterThan(900);
    expect((three?.at ?? 0) - (two?.at ?? 0)).toBeGreaterThan(2 * wait);
    for (const { headers, body } of receiver.posts) {
      const { id } = JSON.parse(body);
      expect(headers["webhook-id"]).toBe(id);
      const signed = `${id}.${headers["webhook-timestamp"]}.${body}`;
      const key = Buffer.from("a secret of twenty-four.");
      const signature = createHmac("sha256", key).update(signed).digest("base64");
      expect(headers["webhook-signature"]).toBe(`v1,${signature}`);
    }
    const told = stream.events.filter(({ space }) => space === "hooked");
    const delivered = receiver.events.filter(
      ({ space, id }, at, all) => space === "hooked" && id !== all[at - 1]?.id,
    );
    expect(delivered).toEqual(told);
  });
});

describe("measurements", () => {
  const metrics = async () => await (await daemon.request("GET", "/metrics")).text();
  const counted = (lines: string, name: string) =>
    Number(
      lines
        .split("\n")
        .find((line) => line.startsWith(`${name} `))
        ?.split(" ")[1] ?? 0,
    );

  test("in Prometheus' format need a key, and count requests, commands, wakes, spaces and engine calls", async () => {
    const refused = await fetch(`${daemon.url}/metrics`);
    expect(refused.status).toBe(401);
    await daemon.space("counted");
    const before = await metrics();
    await ask(daemon, "POST", "/api/spaces/counted/stop");
    await exec("counted", "true");
    await exec("counted", "false");
    await expect
      .poll(async () => {
        const after = await metrics();
        return [
          'clawdspace_wakes_total{from="paused"}',
          'clawdspace_exec_duration_seconds_count{outcome="ok"}',
          'clawdspace_exec_duration_seconds_count{outcome="exit"}',
          'clawdspace_engine_calls_total{call="unpauseContainer"}',
          'clawdspace_http_requests_total{method="POST",route="/api/spaces/:name/exec",status="200"}',
        ].map((name) => counted(after, name) - counted(before, name));
      })
      .toEqual([1, 1, 1, 1, 2]);
    const lines = (await metrics()).split("\n").filter(Boolean);
    for (const line of lines) {
      expect(line).toMatch(/^# (HELP|TYPE) |^[a-z0-9_]+(\{[^}]*\})? (-?[\d.e+-]+|nan|\+Inf)$/i);
    }
    for (const name of [
      'clawdspace_spaces{state="running"}',
      "nodejs_eventloop_lag_p99_seconds",
      "# TYPE clawdspace_engine_errors_total counter",
      'clawdspace_exec_duration_seconds_bucket{le="0.005",outcome="ok"}',
    ]) {
      expect(
        lines.some((line) => line.startsWith(name)),
        name,
      ).toBe(true);
    }
  });

  test("of a space are answered without the engine, and its last hour shows when it worked and when it slept", async () => {
    await daemon.space("worked");
    const history = async () =>
      (await ask(daemon, "GET", "/api/spaces/worked/metrics/history")).body.history;
    const engineCalls = async () =>
      counted(await metrics(), 'clawdspace_engine_calls_total{call="stats"}');
    const before = await engineCalls();
    await exec("worked", "timeout 2.5 sh -c 'while :; do :; done'; true");
    await ask(daemon, "GET", "/api/spaces/worked/stats");
    expect(await engineCalls()).toBe(before);
    await ask(daemon, "POST", "/api/spaces/worked/stop");
    const { intervalMs, points } = await history();
    expect(intervalMs).toBe(500);
    expect(points.length).toBeGreaterThan(2);
    const cpu = points.map(({ cpuPercent }: { cpuPercent: number }) => cpuPercent);
    expect(Math.max(...cpu)).toBeGreaterThan(20);
    const times = points.map(({ ts }: { ts: string }) => ts);
    expect(times).toEqual([...times].sort());
    expect(points.at(-1).memoryUsageBytes).toBeGreaterThan(0);
    await delay(1500);
    expect((await history()).points).toEqual(points);
  });
});

// Last: it ends the daemon that the others use.
test("a stream that is resumed at another daemon begins with a reset, and then has all that this one knows", async () => {
  const before = await follow();
  await daemon.space("survivor");
  await before.sees(({ space }) => space === "survivor");
  const { lastId } = before;
  await daemon.restart("SIGKILL");
  await before.ended;
  await exec("survivor", "echo again");
  const after = await follow("", lastId);
  await after.sees(({ type }) => type === "exec.finished");
  expect(types(after)).toEqual(["stream.reset", "exec.started", "exec.finished"]);
});
