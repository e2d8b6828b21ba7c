import type { IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { at, SpaceFilesClient } from "../support/files.js";

let daemon: Daemon;
let files: SpaceFilesClient;

beforeAll(async () => {
  daemon = await startDaemon();
  files = new SpaceFilesClient(daemon, await daemon.space("watched", { memory: "128m" }));
  await files.json("POST", "/files/mkdir", { path: "/w/sub" });
});
afterAll(async () => await daemon.stop());

interface Told {
  type: string;
  path?: string;
  from?: string;
  pathBase64?: string;
  dir?: boolean;
  code?: string;
}

/** The events of a watch as they come. */
class Watch {
  readonly events: Told[] = [];
  ended = false;

  private constructor(
    private readonly response: IncomingMessage,
    private readonly cut: () => void,
  ) {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (piece: string) => {
      text += piece;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const [name, data] = text.slice(0, end).split("\n");
        text = text.slice(end + 2);
        if (!name?.startsWith("event: ")) continue;
        const event = JSON.parse(data?.slice("data: ".length) ?? "") as Told;
        expect(event.type).toBe(name.slice("event: ".length));
        this.events.push(event);
      }
    });
    response.on("error", () => {});
    response.on("close", () => {
      this.ended = true;
    });
  }

  static async open(path: string, recursive = false): Promise<Watch> {
    const { request, answer } = files.stream(
      "GET",
      `/files/watch?${at(path)}&recursive=${recursive}`,
    );
    request.end();
    const response = await answer;
    expect(response.statusCode).toBe(200);
    expect(response.headers["content-type"]).toMatch(/^text\/event-stream/);
    return new Watch(response, () => request.destroy());
  }

  /** Takes what has been told, once `enough` of it has. */
  async until(enough: (events: Told[]) => boolean): Promise<string[]> {
    await expect.poll(() => enough(this.events), { timeout: 10_000 }).toBe(true);
    return this.events
      .splice(0)
      .map(({ type, from, path }) => [type, from, path].filter(Boolean).join(" "));
  }

  async close(): Promise<void> {
    this.cut();
    await expect.poll(() => this.ended).toBe(true);
    this.response.destroy();
  }
}

const has = (path: string) => (events: Told[]) => events.some((event) => event.path === path);

test("a watch tells what is made, changed, renamed and removed, by the API and by the space itself", async () => {
  const watch = await Watch.open("/w");
  await files.put("/w/a", "1");
  expect(await watch.until(has("/w/a"))).toEqual(["created /w/a"]);
  await files.inside("echo 2 >> w/a");
  expect(await watch.until(has("/w/a"))).toEqual(["modified /w/a"]);
  await files.json("POST", "/files/move", { from: "/w/a", to: "/w/b" });
  expect(await watch.until(has("/w/b"))).toEqual(["renamed /w/a /w/b"]);
  await files.json("DELETE", "/files?path=/w/b");
  expect(await watch.until(has("/w/b"))).toEqual(["removed /w/b"]);
  await files.put("/w/sub/deeper", "not seen");
  await files.put("/w/end", "1");
  expect(await watch.until(has("/w/end"))).toEqual(["created /w/end"]);
  await watch.close();
});

test("recursively, it sees folders that come later, and names that are not UTF-8", async () => {
  const watch = await Watch.open("/w", true);
  await files.inside("mkdir -p w/new/er && sleep 0.3 && echo 1 > w/new/er/f");
  const told = await watch.until(has("/w/new/er/f"));
  expect(told).toContain("created /w/new");
  const odd = Buffer.from("/w/odd\xff", "latin1");
  await files.put(odd, "1");
  await expect
    .poll(() => watch.events.some(({ pathBase64 }) => pathBase64 === odd.toString("base64")))
    .toBe(true);
  await watch.close();
});

test("many changes of a file are told once, and a flood is told of or said to be one", async () => {
  const watch = await Watch.open("/w", true);
  await files.inside("for i in $(seq 300); do echo $i >> w/often; done");
  const often = await watch.until((events) => events.length > 0);
  expect(often.length).toBeLessThan(60);
  await files.inside("mkdir w/flood && cd w/flood && seq 30000 | xargs touch");
  await files.put("/w/after", "1");
  await expect
    .poll(() => watch.events.some(({ type, path }) => type === "overflow" || path === "/w/after"), {
      timeout: 20_000,
    })
    .toBe(true);
  await watch.close();
  await files.inside("rm -rf w/flood");
});

test("a reader that does not read stops nobody, and costs no memory", async () => {
  const { request, answer } = files.stream("GET", `/files/watch?${at("/w")}&recursive=true`);
  request.end();
  const response = await answer;
  response.pause();
  await files.inside(
    "mkdir w/stuck && cd w/stuck && seq 20000 | xargs touch && cd .. && rm -rf stuck",
  );
  expect((await files.put("/w/still", "works")).status).toBe(200);
  request.destroy();
});

test("a pause silences a watch, a wake goes on with it, and it keeps nothing awake", async () => {
  const watch = await Watch.open("/w");
  expect((await files.json("POST", "/stop")).status).toBe(200);
  expect(await files.status()).toBe("paused");
  expect(watch.ended).toBe(false);
  await files.put("/w/woken", "1");
  expect(await watch.until(has("/w/woken"))).toContain("created /w/woken");
  await watch.close();
});

test("the end of the space ends a watch with the reason", async () => {
  await daemon.space("ending", { memory: "64m" });
  const ending = new SpaceFilesClient(daemon, "ending");
  const { request, answer } = ending.stream("GET", "/files/watch");
  request.end();
  const response = await answer;
  await docker.getContainer(await ending.containerId()).kill();
  const pieces: Buffer[] = [];
  for await (const piece of response as AsyncIterable<Buffer>) pieces.push(piece);
  expect(Buffer.concat(pieces).toString()).toMatch(/event: closed\ndata: \{"type":"closed"/);
});

test("what can't be watched is refused", async () => {
  expect((await files.json("GET", "/files/watch?path=/w/missing")).status).toBe(404);
  expect((await files.json("GET", "/files/watch?path=/../etc")).status).toBe(400);
  await files.inside("ln -sfn /etc w/out");
  expect((await files.json("GET", "/files/watch?path=/w/out")).status).toBe(400);
});
