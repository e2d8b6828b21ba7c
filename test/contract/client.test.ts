import { randomBytes } from "node:crypto";
import { Clawdspace, ClawdspaceError, outputBytes } from "@clawdspace/client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Daemon } from "../support/daemon.js";

let daemon: Daemon;
let clawdspace: Clawdspace;

beforeAll(async () => {
  daemon = await Daemon.start();
  clawdspace = new Clawdspace({ baseUrl: daemon.url, key: daemon.key });
  const request = { name: "dev", memory: "256m", env: { GREETING: "hi" } };
  const space = await clawdspace.spaces.create(request);
  expect(space.info).toMatchObject({ name: "dev", status: "running", memory: 256 * 1024 ** 2 });
});
afterAll(() => daemon?.stop());

it("knows the daemon and its spaces", async () => {
  expect((await clawdspace.health()).status).toBe("ok");
  expect((await clawdspace.capabilities()).cpus).toBeGreaterThan(0);
  expect((await clawdspace.system()).docker.version).not.toBe("");
  expect((await clawdspace.spaces.list()).map(({ name }) => name)).toEqual(["dev"]);
  expect((await clawdspace.spaces.get("dev")).security?.noNewPrivileges).toBe(true);
  await expect(clawdspace.spaces.get("nope")).rejects.toMatchObject({ code: "not_found" });
  const stranger = new Clawdspace({ baseUrl: daemon.url, key: "wrong" });
  await expect(stranger.spaces.list()).rejects.toMatchObject({ code: "unauthorized" });
  expect((await clawdspace.session.get()).role).toBe("admin");
});

it("runs commands: result, stream, abort", async () => {
  const space = clawdspace.space("dev");
  const { stdout, exitCode } = await space.exec('echo "$GREETING $0"; exit 4').wait();
  expect({ stdout, exitCode }).toEqual({ stdout: "hi /bin/sh\n", exitCode: 4 });
  const types: string[] = [];
  for await (const event of space.exec("echo out; sleep 0.3; echo err >&2")) types.push(event.type);
  expect(types).toEqual(["stdout", "stderr", "exit"]);
  const stop = new AbortController();
  const command = space.exec("echo started; exec sleep 987", { signal: stop.signal });
  const reading = (async () => {
    for await (const event of command) if (event.type === "stdout") stop.abort();
  })();
  await expect(reading).rejects.toMatchObject({ name: "AbortError" });
  const left = "until ! pgrep -f 'sleep 98[7]' >/dev/null; do sleep 0.1; done; echo gone";
  expect((await space.exec(left).wait()).stdout).toBe("gone\n");
});

it("keeps background processes over a restart of the daemon", async () => {
  const { processes } = clawdspace.space("dev");
  const script = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; cat";
  const { id } = await processes.start(script, { tag: "count" });
  const states: string[] = [];
  let text = "";
  let restarted: Promise<void> | undefined;
  for await (const event of processes.output(id, { onState: (state) => states.push(state) })) {
    if (event.type === "stdout") text += new TextDecoder().decode(outputBytes(event));
    if (!restarted && text.includes("line 3\n")) restarted = daemon.restart();
    if (text.endsWith("line 39\n")) {
      await processes.stdin(id, "typed\n");
      await processes.closeStdin(id);
    }
    if (event.type === "exit") expect(event.exitCode).toBe(0);
  }
  await restarted;
  const lines = Array.from({ length: 40 }, (_, index) => `line ${index}\n`).join("");
  expect(text).toBe(`${lines}typed\n`);
  expect(states).toContain("reconnecting");
  expect(await processes.wait(id)).toMatchObject({ status: "exited", exitCode: 0, tag: "count" });
  await processes.remove(id);
  await expect(processes.get(id)).rejects.toMatchObject({ code: "not_found" });
});

it("reads, writes, finds and watches files", async () => {
  const { files } = clawdspace.space("dev");
  const bytes = randomBytes(3 * 1024 ** 2);
  const pieces = async function* () {
    for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
  };
  expect(await files.write("/deep/raw.bin", pieces())).toMatchObject({ size: bytes.length });
  expect(Buffer.from(await files.read("/deep/raw.bin")).equals(bytes)).toBe(true);
  await files.write("/deep/a.txt", "one\n", { mode: "640", ifNoneMatch: "*" });
  const again = files.write("/deep/a.txt", "two\n", { ifNoneMatch: "*" });
  await expect(again).rejects.toMatchObject({ code: "precondition_failed" });
  expect(await files.stat("/deep/a.txt")).toMatchObject({ size: 4, mode: "640" });
  const odd = new Uint8Array([0x2f, 0xff, 0x0a]);
  await files.write(odd, "odd");
  expect(await files.readText(odd)).toBe("odd");
  expect((await files.find("*.txt")).entries.map(({ path }) => path)).toEqual(["/deep/a.txt"]);
  expect((await files.grep("^on")).matches).toMatchObject([{ path: "/deep/a.txt", line: 1 }]);
  await files.upload("/up", [{ name: "x/y.txt", data: "y" }]);
  const archive = await files.downloadArchive("/deep");
  await files.uploadArchive("/copy", archive.pieces);
  expect(archive.leftOut()).toBe(0);
  const names: string[] = [];
  for await (const { name } of files.entries("/copy")) names.push(name);
  expect(names.sort()).toEqual(["a.txt", "raw.bin"]);
  const stop = new AbortController();
  const watch = files.watch("/deep", {
    signal: stop.signal,
    onState: () => void files.move("/deep/a.txt", "/deep/b.txt"),
  });
  const first = await watch.next();
  expect(first.value).toMatchObject({ type: "renamed", from: "/deep/a.txt", path: "/deep/b.txt" });
  stop.abort();
  await files.remove("/deep", { recursive: true });
  await expect(files.stat("/deep")).rejects.toBeInstanceOf(ClawdspaceError);
});

it("opens terminals and tunnels, and lists sessions and ports", async () => {
  const space = clawdspace.space("dev");
  const terminal = await space.terminal({ session: "main", cols: 90, rows: 20 });
  let shown = "";
  const printed = new Promise<void>((resolve) => {
    terminal.onData((data) => {
      shown += new TextDecoder().decode(data);
      if (shown.includes("20 90")) resolve();
    });
  });
  terminal.write("stty size\n");
  await printed;
  expect(await space.terminals.list()).toMatchObject([{ session: "main", viewers: 1 }]);
  terminal.write("exit 5\n");
  expect(await terminal.closed).toMatchObject({ exitCode: 5 });
  await expect(clawdspace.space("nope").terminal()).rejects.toMatchObject({ code: "not_found" });

  const server = [
    "import socket",
    "s = socket.create_server(('127.0.0.1', 8123))",
    "while True:",
    "  c, _ = s.accept()",
    "  d = b''",
    "  while b := c.recv(99): d += b",
    "  c.sendall(d.upper())",
    "  c.close()",
  ].join("\n");
  await space.processes.start(["python3", "-c", server]);
  await space.ports.wait(8123);
  expect((await space.ports.list()).ports.map(({ port }) => port)).toContain(8123);
  const tunnel = await space.ports.tunnel(8123);
  let answer = "";
  tunnel.onData((data) => {
    answer += new TextDecoder().decode(data);
  });
  tunnel.write(new TextEncoder().encode("hello"));
  tunnel.end();
  await tunnel.closed;
  expect(answer).toBe("HELLO");
});

it("follows events and the audit log, and keeps templates and keys", async () => {
  const stop = new AbortController();
  let next: Promise<IteratorResult<unknown>> | undefined;
  await new Promise<void>((resolve) => {
    const onState = () => resolve();
    const types = ["space.paused" as const];
    next = clawdspace.events({ types, signal: stop.signal, onState }).next();
  });
  await clawdspace.spaces.stop("dev");
  expect((await next)?.value).toMatchObject({ type: "space.paused", space: "dev" });
  stop.abort();
  await clawdspace.spaces.start("dev");
  const { events: newest } = await clawdspace.audit.query({ space: "dev", limit: 1 });
  expect(newest).toMatchObject([{ type: "space.start" }]);
  const types = new Set<string>();
  for await (const { type } of clawdspace.audit.stream({ space: "dev" })) types.add(type);
  expect(types).toContain("space.create");
  expect(await clawdspace.audit.verify()).toMatchObject({ ok: true, faults: [] });

  await clawdspace.templates.put("name: mine\nresources: {memory: 300m}\n");
  expect((await clawdspace.templates.get("mine")).yaml).toContain("300m");
  expect((await clawdspace.templates.list()).map(({ name }) => name)).toContain("mine");
  await clawdspace.templates.delete("mine");
  const { key, secret } = await clawdspace.keys.create({ name: "reader", role: "viewer" });
  const reader = new Clawdspace({ baseUrl: daemon.url, key: secret });
  await expect(reader.spaces.stop("dev")).rejects.toMatchObject({ code: "forbidden" });
  await clawdspace.keys.revoke(key.id);
  await expect(reader.spaces.list()).rejects.toMatchObject({ code: "unauthorized" });
  expect((await clawdspace.space("dev").stats()).memoryUsageBytes).toBeGreaterThan(0);
  expect((await clawdspace.space("dev").observability()).top?.length).toBeGreaterThan(0);
  expect((await clawdspace.space("dev").metrics()).intervalMs).toBeGreaterThan(0);
  await clawdspace.spaces.remove("dev", { removeVolume: true });
  expect(await clawdspace.spaces.list()).toEqual([]);
});
