import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ask } from "../support/answers.js";
import { type Daemon, startDaemon } from "../support/daemon.js";

const CLI = resolve(import.meta.dirname, "../../packages/cli/build/package/dist/cli/main.js");
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const GIT_REPOSITORY =
  "git init -q repo && cd repo && git config user.name a && git config user.email a@b.c && echo 1 > f";

let daemon: Daemon;
const clients: Client[] = [];

beforeAll(async () => {
  daemon = await startDaemon();
  await daemon.space("box");
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});
afterAll(() => daemon.stop());

const byHttp = (key = daemon.key): Transport =>
  new StreamableHTTPClientTransport(new URL(`${daemon.url}/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${key}` } },
    // The class declares its optional callbacks in a way that exact optional types refuse.
  }) as Transport;
const byStdio = (): Transport =>
  new StdioClientTransport({
    command: process.execPath,
    args: [CLI, "mcp"],
    env: {
      PATH: process.env.PATH ?? "",
      HOME: daemon.folder,
      CLAWDSPACE_URL: daemon.url,
      CLAWDSPACE_KEY: daemon.key,
    },
    stderr: "inherit",
  });

async function connect(transport: Transport): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  clients.push(client);
  await client.connect(transport);
  return client;
}

/** Calls a tool of which no failure is expected. */
async function call(client: Client, name: string, args: object): Promise<CallToolResult> {
  const result = (await client.callTool({ name, arguments: { ...args } })) as CallToolResult;
  expect(result.isError, JSON.stringify(result.content)).toBeFalsy();
  return result;
}

const textOf = ({ content }: CallToolResult) =>
  content.map((each) => (each.type === "text" ? each.text : "")).join();

describe.each([
  ["streamable HTTP", () => byHttp()],
  ["stdio", () => byStdio()],
])("by %s", (_, transport) => {
  test("lists tools with schemas and annotations, and does what they say", async () => {
    const client = await connect(transport());
    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThan(20);
    for (const tool of tools) {
      expect(tool.annotations?.readOnlyHint, tool.name).toBeDefined();
      expect(tool.description, tool.name).toBeTruthy();
    }
    expect(
      tools.filter(({ annotations }) => annotations?.destructiveHint).map((t) => t.name),
    ).toEqual(expect.arrayContaining(["remove_space", "run_command", "write_file", "delete_file"]));

    const ran = await call(client, "run_command", {
      space: "box",
      command: "echo out; echo err >&2; exit 3",
    });
    expect(ran.structuredContent).toMatchObject({ exitCode: 3, stdout: "out\n", stderr: "err\n" });
    expect(textOf(ran)).toBe("exit code: 3\nstdout:\nout\n\nstderr:\nerr\n");

    const file = { space: "box", path: "/notes/a.txt" };
    await call(client, "write_file", { ...file, content: "one\ntwo\n" });
    await call(client, "edit_file", { ...file, edits: [{ oldText: "two", newText: "2" }] });
    expect(textOf(await call(client, "read_file", file))).toBe("one\n2\n");
    expect(textOf(await call(client, "read_file", { ...file, offset: 2, limit: 1 }))).toBe("2");
    const listed = await call(client, "list_directory", { space: "box", path: "/notes" });
    expect(listed.structuredContent).toMatchObject({ entries: [{ path: "/notes/a.txt" }] });
    const found = await call(client, "search_content", { space: "box", pattern: "^2$" });
    expect(found.structuredContent).toMatchObject({ matches: [{ path: "/notes/a.txt", line: 2 }] });
    const names = await call(client, "search_files", { space: "box", glob: "*.txt" });
    expect(JSON.stringify(names.structuredContent)).toContain("/notes/a.txt");

    await call(client, "create_directory", { space: "box", path: "/kept" });
    await call(client, "copy_file", { space: "box", from: "/notes/a.txt", to: "/kept/a.txt" });
    const moved = { space: "box", from: "/kept/a.txt", to: "/kept/b.txt" };
    await call(client, "move_file", moved);
    expect(textOf(await call(client, "read_file", { space: "box", path: "/kept/b.txt" }))).toBe(
      "one\n2\n",
    );
    await call(client, "delete_file", { space: "box", path: "/kept", recursive: true });

    await call(client, "run_command", { space: "box", command: GIT_REPOSITORY });
    const repository = { space: "box", repoPath: "/repo" };
    const status = async () =>
      (await call(client, "git_status", repository)).structuredContent as object;
    expect(await status()).toMatchObject({ clean: false, files: [{ path: "f" }] });
    await call(client, "git_commit", { ...repository, message: "one" });
    await call(client, "git_checkout", { ...repository, ref: "side", create: true });
    expect(await status()).toMatchObject({ clean: true, branch: "side" });
    await call(client, "delete_file", { space: "box", path: "/repo", recursive: true });
    expect((await call(client, "list_nodes", {})).structuredContent).toMatchObject({ nodes: [{}] });
    const there = { space: "box", node: "nowhere" };
    expect(await client.callTool({ name: "move_space", arguments: there })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining("nowhere") }],
    });

    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates[0]?.uriTemplate).toContain("clawdspace://");
    const { contents } = await client.readResource({ uri: "clawdspace://box/notes/a.txt" });
    expect(contents[0]).toMatchObject({ text: "one\n2\n", mimeType: "text/plain" });
  });

  test("tells of a long command's progress, and a cancelled call ends it", async () => {
    const client = await connect(transport());
    const said: string[] = [];
    await client.callTool(
      { name: "run_command", arguments: { space: "box", command: "echo a; sleep 0.3; echo b" } },
      undefined,
      { onprogress: ({ message }) => said.push(message ?? "") },
    );
    expect(said.join("")).toBe("a\nb\n");

    const cancel = new AbortController();
    const started = new Promise<void>((ready) => {
      client
        .callTool(
          { name: "run_command", arguments: { space: "box", command: "echo up; exec sleep 4242" } },
          undefined,
          { signal: cancel.signal, onprogress: () => ready() },
        )
        .catch(() => {});
    });
    await started;
    expect(await sleepers()).toBe("1");
    cancel.abort();
    await expect.poll(sleepers, { timeout: 20_000 }).toBe("0");
  });

  test("says what is wrong with a call, and what to do", async () => {
    const client = await connect(transport());
    const failed = async (name: string, args: object) => {
      const result = (await client.callTool({ name, arguments: { ...args } })) as CallToolResult;
      expect(result.isError).toBe(true);
      return textOf(result);
    };
    expect(await failed("run_command", { space: "nowhere", command: "true" })).toContain("nowhere");
    expect(await failed("run_command", { space: "box" })).toContain("command");
    expect(await failed("no_such_tool", {})).toContain("no_such_tool");
    expect(await failed("create_space", { name: "bad name!" })).toContain("name");
    const gpu = { ids: ["GPU-none"], kind: "nvidia" };
    expect(await failed("create_space", { name: "fast", gpu })).toMatch(/GPU/);
    expect(await failed("git_pull", { space: "box", repoPath: "/none" })).toContain("not_found");
    expect(await failed("git_clone", { space: "box", url: "ftp://x" })).toContain("https://");
    expect(await failed("read_file", { space: "box", path: "/../etc/passwd" })).toContain("path");
    expect(await failed("read_file", { space: "box", path: "/none" })).toContain("not_found");
    await call(client, "run_command", { space: "box", command: "head -c 99 /dev/zero > zeros" });
    expect(await failed("read_file", { space: "box", path: "/zeros" })).toContain("no text");
    await call(client, "write_file", { space: "box", path: "/e.txt", content: "a a" });
    const twice = [{ oldText: "a", newText: "b" }];
    expect(await failed("edit_file", { space: "box", path: "/e.txt", edits: twice })).toContain(
      "occurs 2 times",
    );
  });
});

const sleepers = async () => {
  const command = "pgrep -fxc 'sleep 4242'; true";
  const { body } = await ask(daemon, "POST", "/api/spaces/box/exec", { command });
  return body.stdout as string;
};

test.each([
  ["streamable HTTP", byHttp],
  ["stdio", byStdio],
])("two clients at once by %s, each with its own spaces, processes and images", async (_, by) => {
  const [one, two] = await Promise.all([connect(by()), connect(by())]);
  const spaces = ["first", "second"] as const;
  await Promise.all(
    [one, two].map((client, index) =>
      call(client, "create_space", { name: spaces[index], memory: "256m", template: "offline" }),
    ),
  );
  const started = await call(one, "start_process", {
    space: "first",
    command: "python3 -m http.server 8000",
    tag: "web",
  });
  const { id } = started.structuredContent as { id: string };
  await call(one, "wait_for_port", { space: "first", port: 8000 });
  const ports = await call(one, "list_ports", { space: "first" });
  expect(ports.structuredContent).toMatchObject({ ports: [{ port: 8000 }] });
  const processes = await call(two, "list_processes", { space: "first", tag: "web" });
  expect(processes.structuredContent).toMatchObject({ processes: [{ id, status: "running" }] });
  await call(one, "stop_process", { space: "first", id });
  const ended = await call(one, "read_process_output", { space: "first", id, waitMs: 20_000 });
  expect(ended.structuredContent).toMatchObject({ status: "exited" });

  await call(two, "run_command", { space: "second", command: `echo ${PNG} | base64 -d > a.png` });
  const image = await call(two, "read_file", { space: "second", path: "/a.png" });
  expect(image.content).toEqual([{ type: "image", mimeType: "image/png", data: PNG }]);
  await call(two, "pause_space", { space: "second" });
  const listed = await call(one, "list_spaces", {});
  expect(listed.structuredContent).toMatchObject({
    spaces: expect.arrayContaining([expect.objectContaining({ name: "second", status: "paused" })]),
  });
  await Promise.all(
    spaces.map((space) => call(one, "remove_space", { space, removeVolume: true })),
  );
});

test("holds a key to its role and its spaces, and logs what it did under its name", async () => {
  const made = await ask(daemon, "POST", "/api/keys", {
    name: "bot",
    role: "agent",
    spaces: ["bot-*"],
  });
  const viewer = await ask(daemon, "POST", "/api/keys", { name: "eye", role: "viewer" });
  const bot = await connect(byHttp(made.body.secret));
  const refused = await bot.callTool({
    name: "run_command",
    arguments: { space: "box", command: "true" },
  });
  expect(refused.isError).toBe(true);
  expect(textOf(refused as CallToolResult)).toContain("forbidden");
  await call(bot, "create_space", { name: "bot-1", memory: "256m", template: "offline" });
  await call(bot, "run_command", { space: "bot-1", command: "true" });
  const { body } = await ask(daemon, "GET", "/api/audit?space=bot-1&type=space.exec");
  expect(body.events).toMatchObject([{ actor: "key:bot", meta: { command: "true" } }]);

  const eye = await connect(byHttp(viewer.body.secret));
  await call(eye, "list_spaces", {});
  const write = { space: "box", path: "/x", content: "x" };
  expect((await eye.callTool({ name: "write_file", arguments: write })).isError).toBe(true);

  // One key can't go on with another's session.
  const { sessionId } = bot.transport as StreamableHTTPClientTransport;
  const stolen = await daemon.request(
    "POST",
    "/mcp",
    { jsonrpc: "2.0", id: 1, method: "tools/list" },
    {
      headers: {
        accept: "application/json, text/event-stream",
        "mcp-session-id": sessionId ?? "",
      },
    },
  );
  expect(stolen.status).toBe(404);
});

test("lets nobody in without a key, and takes no message that is none", async () => {
  await expect(connect(byHttp("wrong"))).rejects.toThrow();
  const post = (body: string, headers: Record<string, string>) =>
    fetch(`${daemon.url}/mcp`, { method: "POST", body, headers });
  expect((await post("{}", { "content-type": "application/json" })).status).toBe(401);
  const headers = {
    "content-type": "application/json",
    authorization: `Bearer ${daemon.key}`,
    accept: "application/json, text/event-stream",
  };
  for (const body of ["{}", "[]", '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', "no json"]) {
    const { status } = await post(body, headers);
    expect(status, body).toBeGreaterThanOrEqual(400);
    expect(status, body).toBeLessThan(500);
  }
  await delay(10);
  expect((await ask(daemon, "GET", "/api/health")).status).toBe(200);
});
