import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, startDaemon } from "../support/daemon.js";

describe.each([
  ["the guest agent", "on"],
  ["execs of the engine", "off"],
])("files by %s", (_what, guest) => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await startDaemon({ CLAWDSPACE_GUEST: guest });
    await daemon.space("box");
  });
  afterAll(() => daemon.stop());

  const path = (route: string, query: Record<string, string>) =>
    `/api/spaces/box/${route}?${new URLSearchParams(query)}`;
  const put = (file: string, content: string | Buffer) =>
    ask(daemon, "PUT", path("file", { path: file }), {
      contentBase64: Buffer.from(content).toString("base64"),
    });
  const get = (file: string, query: Record<string, string> = {}) =>
    ask(daemon, "GET", path("file", { path: file, ...query }));
  const list = (folder?: string) =>
    ask(daemon, "GET", path("files", folder === undefined ? {} : { path: folder }));
  const content = async (file: string) =>
    Buffer.from((await get(file)).body.contentBase64, "base64").toString();
  const run = async (command: string) => {
    const { body } = await ask(daemon, "POST", "/api/spaces/box/exec", { command });
    expect(body, JSON.stringify(body)).toMatchObject({ exitCode: 0 });
    return body.stdout as string;
  };

  test("write, read and list, as the contract writes them", async () => {
    const written = await put("/a.txt", "content ☃");
    expect(written.status).toBe(200);
    expect(written.body).toMatchObject({ message: expect.any(String) });
    const read = await get("/a.txt");
    expect(read.status).toBe(200);
    expect(read.body).toMatchObject({
      path: "/a.txt",
      contentBase64: Buffer.from("content ☃").toString("base64"),
      truncated: false,
    });
    const listed = await list("/");
    expect(listed.status).toBe(200);
    expect(listed.body.path).toBe("/");
    expect(listed.body.entries).toContainEqual(
      expect.objectContaining({
        name: "a.txt",
        path: "/a.txt",
        type: "file",
        size: Buffer.byteLength("content ☃"),
        mtimeMs: expect.any(Number),
      }),
    );
    expect((await list()).body).toEqual(listed.body);
  });

  test("parents are made; the file and they belong to the space's user", async () => {
    expect((await put("/new/deep/file", "x")).status).toBe(200);
    expect(await run("stat -c '%u:%g' new new/deep new/deep/file")).toBe(
      "1001:1001\n1001:1001\n1001:1001",
    );
    expect(await run("cat new/deep/file && echo y >> new/deep/file")).toBe("x");
  });

  test("a write replaces the content and keeps the mode", async () => {
    await put("/script", "one");
    await run("chmod 755 script");
    await put("/script", "second");
    expect(await run("stat -c %a script; cat script")).toBe("755\nsecond");
  });

  test("bytes come back as they were, also none", async () => {
    const bytes = Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256));
    await put("/bytes", bytes);
    expect(Buffer.from((await get("/bytes")).body.contentBase64, "base64")).toEqual(bytes);
    await put("/empty", "");
    expect((await get("/empty")).body).toMatchObject({ contentBase64: "", truncated: false });
  });

  test("maxBytes cuts and says so; 256 KiB without it", async () => {
    await put("/long", "0123456789");
    expect((await get("/long", { maxBytes: "4" })).body).toMatchObject({
      contentBase64: Buffer.from("0123").toString("base64"),
      truncated: true,
    });
    expect((await get("/long", { maxBytes: "10" })).body.truncated).toBe(false);
    await put("/longer", Buffer.alloc(262_145, "x"));
    const { body } = await get("/longer");
    expect(Buffer.from(body.contentBase64, "base64").length).toBe(262_144);
    expect(body.truncated).toBe(true);
  });

  test("a listing tells files, folders, symlinks and others apart", async () => {
    await run("mkdir kinds; cd kinds; touch file; mkdir dir; ln -s file symlink; mkfifo other");
    const { entries } = (await list("/kinds")).body;
    const types = entries.map(({ name, type }: { name: string; type: string }) => [name, type]);
    expect(types.sort()).toEqual([
      ["dir", "dir"],
      ["file", "file"],
      ["other", "other"],
      ["symlink", "symlink"],
    ]);
    await run("mkdir none");
    expect((await list("/none")).body).toMatchObject({ path: "/none", entries: [] });
  });

  test.each([
    ["spaces", "a b  c"],
    ["quotes", 'it\'s "quoted" `x` $HOME'],
    ["a leading dash", "-rf"],
    ["a line break", "two\nlines"],
    ["letters beyond ASCII", "ü☃🦞"],
    ["a back slash", "back\\slash"],
    ["signs of a URL", "a?b=c&d#e%20f+g"],
    ["255 bytes", "n".repeat(255)],
    ["dots", "..."],
  ])("a name with %s is as good as any", async (_name, name) => {
    expect((await put(`/odd/${name}`, name)).status).toBe(200);
    expect(await content(`/odd/${name}`)).toBe(name);
    const { entries } = (await list("/odd")).body;
    expect(entries).toContainEqual(expect.objectContaining({ name, path: `/odd/${name}` }));
  });

  test("paths are rooted at /workspace, with or without a slash, and none leaves it", async () => {
    await put("/root.txt", "root");
    for (const same of ["root.txt", "/root.txt", "//root.txt", "/./root.txt", "/x/../root.txt"]) {
      const { status, body } = await get(same);
      if (status === 200) expect(Buffer.from(body.contentBase64, "base64").toString()).toBe("root");
      else expect([400, 404], `${same} ${JSON.stringify(body)}`).toContain(status);
    }
    expect((await get("/root.txt")).status).toBe(200);
    await run("ln -s /etc/passwd link; ln -s /etc folder; ln -s ../../.. up; ln -s / slash");
    for (const outside of [
      "../etc/passwd",
      "/../etc/passwd",
      "/../../../../etc/passwd",
      "/link",
      "/folder/passwd",
      "/up/etc/passwd",
      "/slash/etc/passwd",
      "/slash/proc/self/environ",
    ]) {
      const read = await get(outside);
      expect([400, 403, 404, 409], `read ${outside}`).toContain(read.status);
      expect(JSON.stringify(read.body)).not.toContain("root:");
      const written = await put(`${outside}.new`, "x");
      if (written.status === 200) expect(await run("ls /etc /")).not.toContain(".new");
      else expect([400, 403, 404, 409], `write ${outside}`).toContain(written.status);
    }
    expect([400, 403, 404, 409]).toContain((await list("/folder")).status);
    expect([400, 403, 404, 409]).toContain((await list("/..")).status);
  });

  test.each([
    ["GET", "file", { path: "/no/such" }, undefined, "not_found"],
    ["GET", "files", { path: "/no/such" }, undefined, "not_found"],
    ["GET", "file", {}, undefined, undefined],
    ["GET", "file", { path: "" }, undefined, undefined],
    ["GET", "file", { path: "/a\0b" }, undefined, "invalid_request"],
    ["GET", "file", { path: "/a", maxBytes: "-1" }, undefined, "invalid_request"],
    ["GET", "file", { path: "/a", maxBytes: "many" }, undefined, "invalid_request"],
    ["GET", "file", { path: "/a", maxBytes: "1e12" }, undefined, "invalid_request"],
    ["GET", "file", { path: `/${"p".repeat(5000)}` }, undefined, "invalid_request"],
    ["PUT", "file", { path: "/a" }, {}, "invalid_request"],
    ["PUT", "file", { path: "/a" }, undefined, "invalid_request"],
    ["PUT", "file", { path: "/a" }, { contentBase64: "???" }, "invalid_request"],
    ["PUT", "file", { path: "/a" }, { contentBase64: 7 }, "invalid_request"],
    ["PUT", "file", { path: "/a" }, { contentBase64: "", extra: 1 }, "invalid_request"],
    ["PUT", "file", { path: "/a" }, { content: "x" }, "invalid_request"],
    ["PUT", "file", {}, { contentBase64: "" }, undefined],
    ["PUT", "file", { path: "/" }, { contentBase64: "" }, undefined],
    ["PUT", "file", { path: `/${"n".repeat(256)}` }, { contentBase64: "" }, "invalid_request"],
  ] as const)("%s %s %j %j is refused", async (method, route, query, body, code) => {
    const answer = await ask(daemon, method, path(route, query), body);
    if (code !== undefined) expectError(answer, code);
    else expect([400, 409]).toContain(answer.status);
  });

  test("a folder is no file, a file no folder", async () => {
    await run("mkdir -p a-folder; echo x > a-file");
    for (const answer of [
      await get("/a-folder"),
      await list("/a-file"),
      await put("/a-folder", "x"),
      await put("/a-file/below", "x"),
      await get("/a-file/below"),
    ]) {
      expect([400, 404, 409], JSON.stringify(answer.body)).toContain(answer.status);
      expect(answer.body).toMatchObject({ error: expect.any(String), code: expect.any(String) });
    }
    expect(await run("cat a-file")).toBe("x");
  });

  test("what the space's user may not read is 403", async () => {
    await run("echo x > locked; chmod 000 locked");
    expectError(await get("/locked"), "forbidden");
  });

  test("a sleeping space's files are read without waking it; a write is there when it wakes", async () => {
    await put("/kept", "before");
    await ask(daemon, "POST", "/api/spaces/box/stop");
    expect(await content("/kept")).toBe("before");
    expect((await list("/")).status).toBe(200);
    expectError(await get("/no/such"), "not_found");
    const { body } = await ask(daemon, "GET", "/api/spaces/box");
    expect(body.space.status).toBe("paused");
    expect((await put("/kept", "after")).status).toBe(200);
    expect(await run("cat kept")).toBe("after");
  });

  test("ten megabytes there and back", async () => {
    const large = Buffer.alloc(10 * 1024 ** 2, "0123456789abcdef");
    expect((await put("/large", large)).status).toBe(200);
    const { body } = await get("/large", { maxBytes: `${large.length}` });
    expect(body.truncated).toBe(false);
    expect(Buffer.from(body.contentBase64, "base64").equals(large)).toBe(true);
    expect(await run("wc -c < large")).toBe(`${large.length}`);
  });
});
