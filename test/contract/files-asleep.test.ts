import { execFileSync } from "node:child_process";
import type { IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { at, SpaceFilesClient } from "../support/files.js";

/** More than the buffers of every connection on the way hold. */
const HUGE = 96 * 1024 ** 2;

let daemon: Daemon;
let files: SpaceFilesClient;
let id: string;

beforeAll(async () => {
  daemon = await startDaemon();
  files = new SpaceFilesClient(daemon, await daemon.space("asleep"));
  id = await files.containerId();
  await files.inside(
    "export LC_ALL=C; mkdir -p d/sub/deep large other closed && echo one > d/a.txt && echo two > d/sub/b.txt && echo three > d/sub/deep/c.ts && " +
      "ln -s a.txt d/l && ln -s /workspace/d/a.txt d/abs && ln -s /etc d/out && ln -s ../../../etc/passwd d/passwd && ln -s nowhere d/dangling && " +
      'ln d/a.txt d/hard && printf x > "d/new\nline" && mkfifo d/pipe && head -c 40000000 /dev/zero > large/big && echo s > large/small && ' +
      "printf x > \"$(printf 'other/odd\\377')\" && echo secret > closed/f && chmod 700 closed && echo mine > d/mine && chmod 600 d/mine && " +
      `head -c 3000000 /dev/urandom > d/random && mkdir huge && truncate -s ${HUGE - 7} huge/zeros && printf "the end" >> huge/zeros`,
  );
});
afterAll(async () => await daemon.stop());

const state = async () => (await docker.getContainer(id).inspect()).State.Status;

/** What a client finds, so that asleep and awake can be compared. */
async function everything() {
  const list = await files.json("GET", "/files?path=/d");
  const read = await files.json("GET", `/file?${at("/d/sub/b.txt")}`);
  const found = await files.json("GET", "/files/find?path=/d&glob=*.t*");
  return {
    list: list.body.entries.map(({ name, type, size, mode, target }: Record<string, unknown>) =>
      // The engine tells no size of a folder.
      [name, type, type === "dir" ? 0 : size, mode, target],
    ),
    read: read.body.contentBase64,
    found: found.body.entries.map(({ path }: { path: string }) => path).sort(),
    texts: [
      await files.text("/d/l"),
      await files.text("/d/abs"),
      await files.text("/d/hard"),
      await files.text("/d/mine"),
    ],
    errors: await Promise.all(
      [
        "/d/out/passwd",
        "/d/passwd",
        "/d/dangling",
        "/d/missing",
        "/d/a.txt/x",
        "/d/sub",
        "/d/pipe",
      ].map(async (path) => (await files.send("GET", `/files/raw?${at(path)}`)).status),
    ),
    out: (await files.json("GET", "/files?path=/d/out")).status,
    stat: (await files.json("GET", "/files/stat?path=/d/passwd")).body.stat.target,
  };
}

async function fallAsleep(how: string): Promise<void> {
  await files.json("POST", "/start");
  if (how === "paused") await files.json("POST", "/stop");
  else await docker.getContainer(id).stop({ t: 1 });
  while ((await files.status()) !== how) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** How many bytes an answer has, and what the last seven are. */
async function lengthAndEnd(answer: IncomingMessage): Promise<[number, string]> {
  let length = 0;
  let end = Buffer.alloc(0);
  for await (const piece of answer as AsyncIterable<Buffer>) {
    length += piece.length;
    end = Buffer.concat([end, piece]).subarray(-7);
  }
  return [length, end.toString()];
}

describe.each(["paused", "stopped"])("a %s space", (how) => {
  beforeAll(() => fallAsleep(how));
  const asleep = async () => expect(await state()).toBe(how === "paused" ? "paused" : "exited");

  test("is read and listed as if it were awake, and sleeps on", async () => {
    const sleeping = await everything();
    await asleep();
    expect(sleeping.errors).toEqual([400, 400, 404, 404, 409, 409, 400]);
    expect(sleeping.out).toBe(400);
    expect(sleeping.texts).toEqual(["one\n", "one\n", "one\n", "mine\n"]);
    await files.json("POST", "/start");
    expect(sleeping).toEqual(await everything());
    await fallAsleep(how);
  });

  test("gives ranges and whole folders without waking", async () => {
    const part = await files.send("GET", `/files/raw?${at("/d/random")}`, undefined, {
      range: "bytes=1000000-1000999",
    });
    expect([part.status, (await part.arrayBuffer()).byteLength]).toEqual([206, 1000]);
    const archive = await files.send("GET", `/files/archive?${at("/d")}`);
    const names = execFileSync("tar", ["-tf", "-"], {
      input: Buffer.from(await archive.arrayBuffer()),
    }).toString();
    expect(names.split("\n").sort()).toEqual(
      expect.arrayContaining([
        "a.txt",
        "abs",
        "hard",
        "l",
        "out",
        "passwd",
        "sub/",
        "sub/b.txt",
        "sub/deep/c.ts",
        "random",
      ]),
    );
    const zip = await files.send("GET", `/files/archive?${at("/d/sub")}&format=zip`);
    expect((await zip.arrayBuffer()).byteLength).toBeGreaterThan(200);
    await asleep();
  });

  test("gives files of any size to the slowest reader without waking", async () => {
    const opened = await files.stream("GET", `/files/raw?${at("/huge/zeros")}`).answered();
    const part = await files.send("GET", `/files/raw?${at("/huge/zeros")}`, undefined, {
      range: `bytes=${HUGE - 7}-`,
    });
    expect([part.status, await part.text()]).toEqual([206, "the end"]);
    await asleep();
    expect(await lengthAndEnd(opened)).toEqual([HUGE, "the end"]);
  });

  test("goes on with a large file awake where it is woken meanwhile, and nobody waits for the reader", async () => {
    const opened = await files.stream("GET", `/files/raw?${at("/huge/zeros")}`).answered();
    const { body } = await files.json("POST", "/exec", { command: "echo woke" });
    expect(body).toMatchObject({ stdout: "woke" });
    expect(await lengthAndEnd(opened)).toEqual([HUGE, "the end"]);
    await fallAsleep(how);
    // What is another file by then is not what was begun.
    const broken = await files.stream("GET", `/files/raw?${at("/huge/zeros")}`).answered();
    await files.json("POST", "/exec", { command: "printf x >> huge/zeros" });
    const got = await lengthAndEnd(broken).catch(() => undefined);
    expect(got === undefined || got[0] === HUGE).toBe(true);
    await files.inside(`truncate -s ${HUGE} huge/zeros`);
    await fallAsleep(how);
  });

  test("carries no etag, and wakes for a moment where one is asked for", async () => {
    const plain = await files.send("GET", `/files/raw?${at("/d/a.txt")}`);
    expect([plain.status, plain.headers.get("etag")]).toEqual([200, null]);
    await plain.text();
    await asleep();
    const asked = await files.send("GET", `/files/raw?${at("/d/a.txt")}`, undefined, {
      "if-match": "*",
    });
    expect(await asked.text()).toBe("one\n");
    const etag = asked.headers.get("etag") ?? "";
    expect(etag).not.toBe("");
    if (how === "paused") await expect.poll(state).toBe("paused");
    const same = await files.send("GET", `/files/raw?${at("/d/a.txt")}`, undefined, {
      "if-none-match": etag,
    });
    expect(same.status).toBe(304);
  });

  test("wakes for a moment where a folder is too large to be told of, or holds names that the engine can't tell", async () => {
    expect(await files.names("/large")).toEqual(["big", "small"]);
    if (how === "paused") await expect.poll(state).toBe("paused");
    const { body } = await files.json("GET", "/files?path=/other");
    expect(Buffer.from(body.entries[0].nameBase64, "base64")).toEqual(
      Buffer.from("odd\xff", "latin1"),
    );
    if (how === "paused") await expect.poll(state).toBe("paused");
    const far = await files.send("GET", `/files/raw?${at("/large/small")}`);
    expect(await far.text()).toBe("s\n");
  });

  test("tells no more than an awake one would", async () => {
    await files.json("POST", "/start");
    await files.inside("chmod 0 closed && chmod 0 d/mine");
    await files.json("POST", "/stop");
    expect((await files.send("GET", `/files/raw?${at("/closed/f")}`)).status).toBe(403);
    expect((await files.send("GET", `/files/raw?${at("/d/mine")}`)).status).toBe(403);
    expect((await files.json("GET", "/files?path=/closed")).status).toBe(403);
    const archive = await files.send("GET", `/files/archive?${at("/")}`);
    const tar = Buffer.from(await archive.arrayBuffer());
    expect(tar.includes("secret")).toBe(false);
    expect(execFileSync("tar", ["-tf", "-"], { input: tar }).toString()).not.toMatch(
      /closed\/f|mine/,
    );
    await files.json("POST", "/start");
    await files.inside("chmod 700 closed && chmod 600 d/mine");
  });

  test("is woken by a write, which a reader then sees", async () => {
    await files.json("POST", "/stop");
    expect((await files.put("/d/written", how)).status).toBe(200);
    expect(await files.text("/d/written")).toBe(how);
    expect(await files.status()).toBe("running");
    await files.json("DELETE", "/files?path=/d/written");
  });
});

test("a space that wakes and sleeps while it is read answers right all the time", async () => {
  let done = false;
  const turning = (async () => {
    for (let n = 0; n < 12; n++) await files.json("POST", n % 2 ? "/stop" : "/start");
    done = true;
  })();
  let reads = 0;
  while (!done) {
    expect(await files.text("/d/l")).toBe("one\n");
    expect(
      (await files.json("GET", "/files?path=/d/sub")).body.entries.map(
        ({ name }: { name: string }) => name,
      ),
    ).toEqual(["b.txt", "deep"]);
    expect((await files.send("GET", `/files/raw?${at("/d/out/passwd")}`)).status).toBe(400);
    reads++;
  }
  await turning;
  expect(reads).toBeGreaterThan(0);
});
