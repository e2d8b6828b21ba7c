import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Daemon, startDaemon } from "../support/daemon.js";
import { at, SpaceFilesClient } from "../support/files.js";

/** Names that are easy to get wrong somewhere between a URL and a disk. */
const NAMES = [
  "with space ",
  " leading",
  "-rf",
  "--help",
  "new\nline\n",
  "tab\tand\rreturn",
  "'single' \"double\" `back` $HOME $(id) ;&|<>",
  "*?[a-z]{b,c}!~",
  "back\\slash\\n %s %0a 100%",
  "é日本語🦀",
  "...",
  "#?&=+",
  "x".repeat(255),
  "é".repeat(127),
  Buffer.from([0xff, 0xfe, 0x80, 0x0a, 0x61]),
  Buffer.from(Array.from({ length: 254 }, (_, n) => (n + 1 === 0x2f ? 0xff : n + 1))),
];
const bytes = (name: string | Buffer) => Buffer.from(name);
const below = (folder: string, name: string | Buffer) =>
  Buffer.isBuffer(name) ? Buffer.concat([Buffer.from(`${folder}/`), name]) : `${folder}/${name}`;

/** Each way to name a place, with a path put in. */
const ROUTES: [string, string, (path: string) => string, ((path: string) => unknown)?][] = [
  ["GET", "list", (path) => `/files?${at(path)}`],
  ["GET", "read", (path) => `/file?${at(path)}`],
  ["PUT", "write", (path) => `/file?${at(path)}`, () => ({ contentBase64: "eA==" })],
  ["GET", "raw read", (path) => `/files/raw?${at(path)}`],
  ["PUT", "raw write", (path) => `/files/raw?${at(path)}`, () => Buffer.from("x")],
  ["PUT", "append", (path) => `/files/raw?${at(path)}&append=true`, () => Buffer.from("x")],
  ["GET", "stat", (path) => `/files/stat?${at(path)}`],
  ["GET", "download", (path) => `/files/archive?${at(path)}`],
  ["PUT", "upload", (path) => `/files/archive?${at(path)}&format=tar`, () => Buffer.alloc(1024)],
  ["POST", "mkdir", () => "/files/mkdir", (path) => ({ path })],
  ["POST", "move from", () => "/files/move", (path) => ({ from: path, to: "/moved" })],
  ["POST", "move to", () => "/files/move", (path) => ({ from: "/plain", to: path })],
  ["POST", "copy from", () => "/files/copy", (path) => ({ from: path, to: "/copied" })],
  ["POST", "copy to", () => "/files/copy", (path) => ({ from: "/plain", to: path })],
  ["POST", "chmod", () => "/files/chmod", (path) => ({ path, mode: "600" })],
  ["DELETE", "remove", (path) => `/files?${at(path)}&recursive=true`],
  ["GET", "find", (path) => `/files/find?${at(path)}&glob=**`],
  ["GET", "grep", (path) => `/files/grep?${at(path)}&pattern=x`],
];

describe.each([
  ["the guest agent", "on"],
  ["the engine's commands", "off"],
])("files by %s", (_, guest) => {
  let daemon: Daemon;
  let files: SpaceFilesClient;

  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    files = new SpaceFilesClient(daemon, await daemon.space("files"));
  });
  afterAll(async () => await daemon.stop());

  const ask = async (method: string, rest: string, body?: unknown) => {
    const answer = Buffer.isBuffer(body)
      ? await files.send(method, rest, body)
      : await daemon.request(method, files.url(rest), body);
    const text = await answer.text();
    return { status: answer.status, text, headers: answer.headers };
  };

  test("the contract's three calls: written with its parents, listed, read", async () => {
    const contentBase64 = Buffer.from("hello\n").toString("base64");
    const written = await files.json("PUT", `/file?${at("/deep/er/a.txt")}`, { contentBase64 });
    expect(written).toMatchObject({ status: 200, body: { message: expect.any(String) } });
    const list = await files.json("GET", "/files?path=/deep");
    expect(list.body).toEqual({
      path: "/deep",
      entries: [
        {
          name: "er",
          path: "/deep/er",
          type: "dir",
          size: 4096,
          mtimeMs: expect.any(Number),
          mode: "755",
        },
      ],
    });
    expect((await files.json("GET", "/files")).body.path).toBe("/");
    const read = await files.json("GET", `/file?${at("/deep/er/a.txt")}`);
    expect(read.body).toMatchObject({ path: "/deep/er/a.txt", contentBase64, truncated: false });
    const cut = await files.json("GET", `/file?${at("/deep/er/a.txt")}&maxBytes=3`);
    expect(cut.body).toMatchObject({ contentBase64: "aGVs", truncated: true, size: 6 });
    expect(await files.inside("stat -c '%u:%g %a' deep deep/er deep/er/a.txt")).toBe(
      "1001:1001 755\n1001:1001 755\n1001:1001 644\n",
    );
  });

  test("hostile names go everywhere and come back byte by byte", async () => {
    for (const name of NAMES) {
      const written = await files.put(below("/names", name), bytes(name));
      expect(written.status, await written.text()).toBe(200);
    }
    const { body } = await files.json("GET", "/files?path=/names");
    const listed = body.entries.map((entry: { name: string; nameBase64?: string }) =>
      entry.nameBase64 === undefined
        ? bytes(entry.name).toString("latin1")
        : Buffer.from(entry.nameBase64, "base64").toString("latin1"),
    );
    expect(listed.sort()).toEqual(NAMES.map((name) => bytes(name).toString("latin1")).sort());
    for (const name of NAMES) {
      const path = below("/names", name);
      expect(
        Buffer.from(await (await files.send("GET", `/files/raw?${at(path)}`)).arrayBuffer()),
      ).toEqual(bytes(name));
      expect((await files.json("GET", `/files/stat?${at(path)}`)).body.stat.size).toBe(
        bytes(name).length,
      );
    }
    for (const name of NAMES) {
      const from = below("/names", name);
      const to = below("/names/moved", name);
      const [key, source, target] =
        Buffer.isBuffer(from) && Buffer.isBuffer(to)
          ? ["Base64", from.toString("base64"), to.toString("base64")]
          : ["", from, to];
      const moved = await files.json("POST", "/files/move", {
        [`from${key}`]: source,
        [`to${key}`]: target,
      });
      expect(moved.status, JSON.stringify(moved.body)).toBe(200);
      expect((await files.json("DELETE", `/files?${at(to)}`)).status).toBe(200);
    }
    expect(await files.inside("find names")).toBe("names\nnames/moved\n");
  });

  test.each(ROUTES)(
    "%s %s refuses what leads out, what holds NUL, and what is too long",
    async (method, _name, url, body) => {
      for (const path of [
        "/..",
        "../etc/passwd",
        "/a/../../etc/passwd",
        "/a/..",
        `/${"x".repeat(256)}`,
        "/a\0b",
      ]) {
        const { status, text } = await ask(method, url(path), body?.(path));
        expect(status, `${path}: ${text}`).toBe(400);
        expect(JSON.parse(text)).toMatchObject({
          code: "invalid_request",
          error: expect.stringMatching(/\.\.|NUL|255/),
        });
      }
    },
  );

  test("encoded dots lead out no more than plain ones", async () => {
    for (const path of [
      "%2e%2e/etc/passwd",
      "/%2e%2e%2fetc%2fpasswd",
      "..%2f..%2fetc",
      "/.%2e/etc/passwd",
    ]) {
      expect((await ask("GET", `/file?path=${path}`)).status).toBe(400);
    }
    const encoded = Buffer.from("/../etc/passwd").toString("base64");
    expect((await ask("GET", `/file?pathBase64=${encoded}`)).status).toBe(400);
    // Decoded once and no further: this is a name like any other, and there is no such file.
    expect((await ask("GET", "/file?path=/%252e%252e/etc/passwd")).status).toBe(404);
  });

  test.each(ROUTES)("%s %s does not follow a symlink out", async (method, name, url, body) => {
    await files.inside(
      "rm -rf /tmp/outside links plain moved copied && mkdir -p /tmp/outside/sub links && echo secret > /tmp/outside/f && " +
        "echo plain > plain && ln -s /tmp/outside links/abs && ln -s ../../../tmp/outside links/rel && " +
        "ln -s /tmp/outside/f links/file && ln -s links/abs two",
    );
    const before = await files.inside("find /tmp/outside -printf '%p %s %m\\n' | sort");
    for (const path of ["/links/abs/f", "/links/rel/sub", "/links/abs/new", "/two/f"]) {
      const { status, text } = await ask(method, url(path), body?.(path));
      expect([400, 404], `${name} ${path}: ${status} ${text}`).toContain(status);
      expect(text).not.toContain("secret");
      if (path !== "/links/abs/new") expect(status, `${name} ${path}: ${text}`).toBe(400);
    }
    // The link itself may be looked at, moved, copied and removed; what it leads to may not be used.
    if (!/stat|move|copy|remove|mkdir/.test(name)) {
      const target = /list|download|find/.test(name) ? "/links/abs" : "/links/file";
      const { status, text } = await ask(method, url(target), body?.(target));
      expect(status, `${name} ${target}: ${text}`).toBe(400);
      expect(text).not.toContain("secret");
    }
    expect(await files.inside("find /tmp/outside -printf '%p %s %m\\n' | sort")).toBe(before);
    await files.inside("rm -rf links two moved copied plain");
  });

  test("symlinks that stay inside are followed, and a write goes to where they lead", async () => {
    await files.inside(
      "mkdir -p in/d && echo one > in/d/f && ln -s d in/l && ln -s /workspace/in/d/f in/abs && ln -s nowhere in/dangling",
    );
    expect(await files.text("/in/l/f")).toBe("one\n");
    expect(await files.text("/in/abs")).toBe("one\n");
    expect(await files.names("/in/l")).toEqual(["f"]);
    expect((await files.put("/in/abs", "two")).status).toBe(200);
    expect(await files.text("/in/d/f")).toBe("two");
    expect((await files.json("GET", "/files/stat?path=/in/abs")).body.stat).toMatchObject({
      type: "symlink",
      target: "/workspace/in/d/f",
    });
    const { body } = await files.json("GET", "/files?path=/in");
    const targets = body.entries.map(({ name, target }: { name: string; target?: string }) => [
      name,
      target,
    ]);
    expect(targets).toEqual([
      ["abs", "/workspace/in/d/f"],
      ["d", undefined],
      ["dangling", "nowhere"],
      ["l", "d"],
    ]);
    expect((await ask("GET", "/files/raw?path=/in/dangling")).status).toBe(404);
  });

  test("what is not what was asked for has its own answer", async () => {
    await files.inside(
      "mkdir -p kind/full && echo x > kind/f && echo y > kind/full/g && mkfifo kind/pipe && mkdir kind/no && echo z > kind/no/f && chmod 0 kind/no/f kind/no",
    );
    const cases: [number, string, string, unknown?][] = [
      [404, "GET", "/file?path=/kind/missing"],
      [404, "GET", "/files?path=/kind/missing"],
      [404, "GET", "/files/stat?path=/kind/missing"],
      [404, "DELETE", "/files?path=/kind/missing"],
      [404, "POST", "/files/move", { from: "/kind/missing", to: "/kind/b" }],
      [404, "POST", "/files/copy", { from: "/kind/missing", to: "/kind/b" }],
      [404, "POST", "/files/chmod", { path: "/kind/missing", mode: "600" }],
      [404, "GET", "/files/archive?path=/kind/missing"],
      [404, "GET", "/files/grep?path=/kind/missing&pattern=x"],
      [409, "GET", "/file?path=/kind"],
      [409, "GET", "/files/raw?path=/kind"],
      [409, "PUT", "/files/raw?path=/kind", Buffer.from("x")],
      [409, "PUT", "/files/raw?path=/", Buffer.from("x")],
      [409, "GET", "/files?path=/kind/f"],
      [409, "GET", "/file?path=/kind/f/x"],
      [409, "PUT", "/files/raw?path=/kind/f/x", Buffer.from("x")],
      [409, "GET", "/files/archive?path=/kind/f"],
      [409, "POST", "/files/mkdir", { path: "/kind/f" }],
      [409, "POST", "/files/mkdir", { path: "/kind", parents: false }],
      [404, "POST", "/files/mkdir", { path: "/kind/a/b", parents: false }],
      [409, "DELETE", "/files?path=/kind/full"],
      [409, "POST", "/files/copy", { from: "/kind/full", to: "/kind/b" }],
      [409, "POST", "/files/move", { from: "/kind/f", to: "/kind/full/g" }],
      [409, "POST", "/files/move", { from: "/kind/f", to: "/kind/full", overwrite: true }],
      [409, "POST", "/files/move", { from: "/kind/full", to: "/kind/f", overwrite: true }],
      [400, "POST", "/files/move", { from: "/kind/full", to: "/kind/full/in" }],
      [400, "POST", "/files/copy", { from: "/kind/full", to: "/kind/full/in", recursive: true }],
      [400, "DELETE", "/files?path=/&recursive=true"],
      [400, "POST", "/files/move", { from: "/", to: "/b" }],
      [400, "POST", "/files/move", { from: "/kind/f" }],
      [400, "GET", "/file?path=/kind/pipe"],
      [400, "PUT", "/files/raw?path=/kind/pipe", Buffer.from("x")],
      [403, "GET", "/file?path=/kind/no/f"],
      [403, "GET", "/files?path=/kind/no"],
      [400, "GET", "/file?path=/kind/f&maxBytes=-1"],
      [400, "GET", "/file?path=/kind/f&maxBytes=many"],
      [400, "GET", "/file?path=/kind/f&maxBytes=99999999999"],
      [400, "GET", "/files?path=/kind&limit=0"],
      [400, "GET", "/files?path=/kind&limit=10001"],
      [400, "PUT", "/file?path=/kind/f", { contentBase64: "%%%" }],
      [400, "PUT", "/file?path=/kind/f", {}],
      [400, "POST", "/files/chmod", { path: "/kind/f", mode: "999" }],
      [400, "POST", "/files/mkdir", { path: "/kind/z", unknown: 1 }],
      [400, "GET", "/file?path=/kind/f&pathBase64=YQ=="],
      [415, "PUT", "/files/archive?path=/kind", Buffer.from("x")],
    ];
    for (const [status, method, rest, body] of cases) {
      const answer = await ask(method, rest, body);
      expect(answer.status, `${method} ${rest} ${JSON.stringify(body) ?? ""}: ${answer.text}`).toBe(
        status,
      );
      expect(JSON.parse(answer.text)).toMatchObject({
        error: expect.any(String),
        code: expect.any(String),
      });
    }
    expect(await files.inside("cat kind/f kind/full/g")).toBe("x\ny\n");
    await files.inside("chmod -R 700 kind");
  });

  test("bytes: ranges, conditions, and what an answer says of the file", async () => {
    const content = "0123456789";
    const put = await files.put("/raw/a b.bin", content);
    const etag = put.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[^"]+"$/);
    const url = `/files/raw?${at("/raw/a b.bin")}`;
    const whole = await ask("GET", url);
    expect(whole).toMatchObject({ status: 200, text: content });
    expect(whole.headers.get("content-length")).toBe("10");
    expect(whole.headers.get("content-type")).toBe("application/octet-stream");
    expect(whole.headers.get("accept-ranges")).toBe("bytes");
    expect(whole.headers.get("content-disposition")).toContain("a%20b.bin");
    expect(whole.headers.get("etag")).toBe(etag);
    const head = await ask("HEAD", url);
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers.get("content-length")).toBe("10");
    const get = async (headers: Record<string, string>, method = "GET") => {
      const answer = await files.send(method, url, undefined, headers);
      return [answer.status, await answer.text(), answer.headers.get("content-range")];
    };
    expect(await get({ range: "bytes=2-4" })).toEqual([206, "234", "bytes 2-4/10"]);
    expect(await get({ range: "bytes=7-" })).toEqual([206, "789", "bytes 7-9/10"]);
    expect(await get({ range: "bytes=-2" })).toEqual([206, "89", "bytes 8-9/10"]);
    expect(await get({ range: "bytes=0-0,2-2" })).toEqual([200, content, null]);
    expect((await get({ range: "bytes=10-" })).filter((_each, at) => at !== 1)).toEqual([
      416,
      "bytes */10",
    ]);
    expect(await get({ range: "bytes=2-4", "if-range": etag })).toEqual([
      206,
      "234",
      "bytes 2-4/10",
    ]);
    expect(await get({ range: "bytes=2-4", "if-range": '"other"' })).toEqual([200, content, null]);
    expect((await get({ "if-none-match": etag }))[0]).toBe(304);
    expect((await get({ "if-none-match": etag }, "HEAD"))[0]).toBe(304);
    expect((await get({ "if-none-match": '"other"' }))[0]).toBe(200);
    expect((await get({ "if-match": etag }))[0]).toBe(200);
    expect((await get({ "if-match": '"other"' }))[0]).toBe(412);
    expect((await files.put("/raw/empty", "")).status).toBe(200);
    expect(await ask("GET", "/files/raw?path=/raw/empty")).toMatchObject({ status: 200, text: "" });
  });

  test("a write minds the state it was asked for, by either route", async () => {
    const first = await files.put("/cond/f", "one", { "if-none-match": "*" });
    expect(first.status).toBe(200);
    expect((await files.put("/cond/f", "two", { "if-none-match": "*" })).status).toBe(412);
    const etag = first.headers.get("etag") ?? "";
    expect((await files.put("/cond/f", "two", { "if-match": '"x"' })).status).toBe(412);
    const second = await files.put("/cond/f", "two", { "if-match": etag });
    expect(second.status).toBe(200);
    expect(second.headers.get("etag")).not.toBe(etag);
    expect((await files.put("/cond/f", "three", { "if-match": etag })).status).toBe(412);
    expect((await files.put("/cond/none", "x", { "if-match": "*" })).status).toBe(412);
    const json = await daemon.request(
      "PUT",
      files.url("/file?path=/cond/f"),
      { contentBase64: "eA==" },
      { headers: { "if-match": etag } },
    );
    expect(json.status).toBe(412);
    expect(await files.text("/cond/f")).toBe("two");
    // What the space itself writes counts too.
    await files.inside("printf six > cond/f");
    expect(
      (await files.put("/cond/f", "x", { "if-match": second.headers.get("etag") ?? "" })).status,
    ).toBe(412);
    expect(await files.text("/cond/f")).toBe("six");
  });

  test("of writes that ask for the same state, one wins", async () => {
    for (let round = 0; round < 3; round++) {
      const made = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          files.put(`/race/new${round}`, `${n}`, { "if-none-match": "*" }),
        ),
      );
      expect(made.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)]);
      const etag = made.find(({ status }) => status === 200)?.headers.get("etag") ?? "";
      const changed = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          files.put(`/race/new${round}`, `changed ${n}`, { "if-match": etag }),
        ),
      );
      expect(changed.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)]);
      const winner = changed.findIndex(({ status }) => status === 200);
      expect(await files.text(`/race/new${round}`)).toBe(`changed ${winner}`);
    }
    expect((await files.inside("ls -1A race")).trim().split("\n")).toHaveLength(3);
  });

  test("a reader sees a file as it was or as it is, never half of it", async () => {
    const contents = ["a", "b"].map((char) => char.repeat(700_000));
    await files.put("/atomic", contents[0] ?? "");
    let done = false;
    const writing = (async () => {
      for (let n = 1; n < 14; n++)
        expect((await files.put("/atomic", contents[n % 2] ?? "")).status).toBe(200);
      done = true;
    })();
    let reads = 0;
    do {
      expect(contents).toContain(await files.text("/atomic"));
      reads++;
    } while (!done);
    await writing;
    expect(reads).toBeGreaterThan(2);
  });

  test("append adds to the end, and makes the file", async () => {
    for (const piece of ["one ", "two ", "three"]) {
      const answer = await files.send(
        "PUT",
        `/files/raw?${at("/app/log")}&append=true`,
        Buffer.from(piece),
      );
      expect(answer.status).toBe(200);
    }
    const json = await files.json("PUT", `/file?${at("/app/log")}&append=true`, {
      contentBase64: "IQ==",
    });
    expect(json.body.size).toBe(14);
    expect(await files.text("/app/log")).toBe("one two three!");
  });

  test("permissions are kept, given and changed; what is there and read-only is not replaced", async () => {
    expect(
      (await files.send("PUT", `/files/raw?${at("/mode/x.sh")}&mode=755`, Buffer.from("1"))).status,
    ).toBe(200);
    expect((await files.put("/mode/x.sh", "2")).status).toBe(200);
    expect(await files.inside("stat -c %a mode/x.sh")).toBe("755\n");
    expect(
      (await files.json("POST", "/files/chmod", { path: "/mode/x.sh", mode: "440" })).status,
    ).toBe(200);
    expect((await files.json("GET", "/files/stat?path=/mode/x.sh")).body.stat).toMatchObject({
      mode: "440",
      uid: 1001,
      gid: 1001,
    });
    expect((await files.put("/mode/x.sh", "3")).status).toBe(403);
    await files.inside("mkdir -p mode/d && touch mode/d/f && chmod 500 mode/d");
    expect((await files.put("/mode/d/new", "x")).status).toBe(403);
    await files.inside("chmod 700 mode/d");
  });

  test("folders are made, moved, copied and removed with what is in them", async () => {
    expect((await files.json("POST", "/files/mkdir", { path: "/tree/a/b/c" })).status).toBe(200);
    expect((await files.json("POST", "/files/mkdir", { path: "/tree/a/b/c" })).status).toBe(200);
    await files.inside(
      "cd tree/a && echo 1 > f && echo 2 > b/g && ln -s /etc b/out && chmod 750 b && chmod 700 f",
    );
    const copied = await files.json("POST", "/files/copy", {
      from: "/tree/a",
      to: "/tree/new/copy",
      recursive: true,
    });
    expect(copied).toMatchObject({ status: 200, body: { entries: 6 } });
    const shape = "find . -printf '%P %y %m %l\\n' | sort";
    expect(await files.inside(`cd tree/new/copy && ${shape}`)).toBe(
      await files.inside(`cd tree/a && ${shape}`),
    );
    expect(
      (
        await files.json("POST", "/files/copy", {
          from: "/tree/a",
          to: "/tree/new/copy",
          recursive: true,
        })
      ).status,
    ).toBe(409);
    expect(
      (
        await files.json("POST", "/files/copy", {
          from: "/tree/a/f",
          to: "/tree/new/copy/b/g",
          overwrite: true,
        })
      ).status,
    ).toBe(200);
    expect(await files.text("/tree/new/copy/b/g")).toBe("1\n");
    expect(
      (await files.json("POST", "/files/move", { from: "/tree/new/copy", to: "/tree/moved/to" }))
        .status,
    ).toBe(200);
    expect(await files.names("/tree/new")).toEqual([]);
    expect(
      (
        await files.json("POST", "/files/move", {
          from: "/tree/a/f",
          to: "/tree/moved/to/f",
          overwrite: true,
        })
      ).status,
    ).toBe(200);
    const removed = await files.json("DELETE", "/files?path=/tree&recursive=true");
    expect(removed.status).toBe(200);
    expect(removed.body.entries).toBeGreaterThan(8);
    expect(await files.inside("ls -d /etc/passwd; ls")).not.toContain("tree");
    expect((await files.json("DELETE", "/files?path=/app/log")).body.entries).toBe(1);
  });

  test("search finds by name, with a limit", async () => {
    await files.inside(
      "mkdir -p seek/src/deep seek/.git && touch seek/a.ts seek/src/b.ts seek/src/deep/c.ts seek/.git/d.ts seek/README.md seek/src/.hidden.ts",
    );
    const find = async (query: string) => {
      const { status, body } = await files.json("GET", `/files/find?path=/seek&${query}`);
      expect(status, JSON.stringify(body)).toBe(200);
      return { ...body, paths: body.entries.map(({ path }: { path: string }) => path).sort() };
    };
    expect((await find("glob=*.ts")).paths).toEqual([
      "/seek/.git/d.ts",
      "/seek/a.ts",
      "/seek/src/.hidden.ts",
      "/seek/src/b.ts",
      "/seek/src/deep/c.ts",
    ]);
    expect((await find(`glob=${encodeURIComponent("src/**/*.ts")}&hidden=false`)).paths).toEqual([
      "/seek/src/b.ts",
      "/seek/src/deep/c.ts",
    ]);
    expect((await find("glob=*&type=dir&hidden=false")).paths).toEqual([
      "/seek/src",
      "/seek/src/deep",
    ]);
    expect(await find("glob=*.ts&limit=2")).toMatchObject({
      truncated: true,
      entries: { length: 2 },
    });
    expect(
      (
        await files.json(
          "GET",
          `/files/find?glob=${encodeURIComponent("*a".repeat(20))}&path=/seek`,
        )
      ).status,
    ).toBe(200);
  });

  test("search finds by content, as text or as an expression, and passes nothing to a shell", async () => {
    await files.inside(
      "mkdir -p grep/sub && printf 'alpha\\nbeta (x)\\ngamma\\n' > grep/a.txt && printf 'wörld beta\\n' > 'grep/sub/new\nline:7:b.md' && " +
        "printf 'beta\\0binary' > grep/bin && printf 'BETA\\n' > grep/upper.txt && ln -s /etc/passwd grep/out",
    );
    const grep = async (query: Record<string, string>) => {
      const { status, body } = await files.json(
        "GET",
        `/files/grep?${new URLSearchParams({ path: "/grep", ...query })}`,
      );
      const found = body.matches
        ?.map(
          ({ path, line, text }: { path: string; line: number; text: string }) =>
            `${path}:${line}:${text}`,
        )
        .sort();
      return { status, found, body };
    };
    expect((await grep({ pattern: "^b.ta" })).found).toEqual(["/grep/a.txt:2:beta (x)"]);
    expect((await grep({ pattern: "beta" })).found).toEqual([
      "/grep/a.txt:2:beta (x)",
      "/grep/sub/new\nline:7:b.md:1:wörld beta",
    ]);
    expect((await grep({ pattern: "beta (x)", literal: "true" })).found).toEqual([
      "/grep/a.txt:2:beta (x)",
    ]);
    expect((await grep({ pattern: "beta", ignoreCase: "true", glob: "*.txt" })).found).toEqual([
      "/grep/a.txt:2:beta (x)",
      "/grep/upper.txt:1:BETA",
    ]);
    expect((await grep({ pattern: "gamma", path: "/grep/a.txt" })).found).toEqual([
      "/grep/a.txt:3:gamma",
    ]);
    expect((await grep({ pattern: "root", literal: "true" })).found).toEqual([]);
    expect((await grep({ pattern: "a", limit: "1" })).body).toMatchObject({
      truncated: true,
      matches: { length: 1 },
    });
    expect((await grep({ pattern: "(" })).status).toBe(400);
    expect((await grep({ pattern: "a\nb" })).status).toBe(400);
    for (const pattern of [
      "$(touch /workspace/pwned)",
      "`touch /workspace/pwned`",
      "'; touch /workspace/pwned; '",
      "--pre=touch",
      "-f/etc/passwd",
    ]) {
      expect((await grep({ pattern, literal: "true" })).found).toEqual([]);
      expect((await grep({ pattern: "alpha", glob: pattern })).status).toBe(200);
    }
    expect(await files.inside("ls")).not.toContain("pwned");
  });

  test("many files come in one form, and none of them leads out", async () => {
    const send = async (parts: [string, string | Buffer][]) => {
      const form = new FormData();
      for (const [name, content] of parts) form.append("files", new Blob([content]), name);
      return await fetch(`${daemon.url}${files.url("/files/upload?path=/form")}`, {
        method: "POST",
        body: form,
        headers: { authorization: `Bearer ${daemon.key}` },
      });
    };
    const big = randomBytes(3_000_000);
    const answer = await send([
      ["a.txt", "one"],
      ["sub/dir/b.txt", "two"],
      ["big", big],
      ["empty", ""],
    ]);
    expect(answer.status).toBe(200);
    const body = (await answer.json()) as { files: { path: string; size: number }[] };
    expect(body.files.map(({ path, size }) => [path, size])).toEqual([
      ["/form/a.txt", 3],
      ["/form/sub/dir/b.txt", 3],
      ["/form/big", big.length],
      ["/form/empty", 0],
    ]);
    expect(
      Buffer.from(
        await (await files.send("GET", "/files/raw?path=/form/big")).arrayBuffer(),
      ).equals(big),
    ).toBe(true);
    expect(
      (
        await send([
          ["ok", "1"],
          ["../../out", "2"],
        ])
      ).status,
    ).toBe(400);
    expect(await files.inside("ls /out ../out 2>/dev/null || echo none")).toBe("none\n");
    expect((await files.json("POST", "/files/upload?path=/form", { no: "form" })).status).toBe(415);
  });

  test("a body of JSON has a limit that bytes don't have", async () => {
    const large = "A".repeat(48 * 1024 ** 2);
    const refused = await ask("PUT", "/file?path=/large", { contentBase64: large });
    expect(refused.status).toBe(413);
    expect(JSON.parse(refused.text)).toMatchObject({ code: "too_large" });
    expect((await files.put("/large", large)).status).toBe(200);
    expect((await files.json("GET", "/files/stat?path=/large")).body.stat.size).toBe(large.length);
    await files.json("DELETE", "/files?path=/large");
  });

  test("a space that is not there has no files", async () => {
    for (const [method, , url, body] of ROUTES) {
      const answer = await daemon.request(
        method,
        `/api/spaces/nobody${url("/a")}`,
        body?.("/a") as never,
        {
          headers: Buffer.isBuffer(body?.("/a"))
            ? { "content-type": "application/octet-stream" }
            : {},
        },
      );
      expect(answer.status, `${method} ${url("/a")}: ${await answer.text()}`).toBe(404);
    }
  });
});
