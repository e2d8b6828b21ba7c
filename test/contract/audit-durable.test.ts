import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { AuditEvent } from "@clawdspace/protocol";
import { afterEach, expect, test } from "vitest";
import { type Daemon, startDaemon } from "../support/daemon.js";

const run = promisify(execFile);
let daemon: Daemon;

const events = async (query = ""): Promise<AuditEvent[]> =>
  (await daemon.json("GET", `/api/audit?limit=1000&${query}`)).body.events;
const verdict = async () => (await daemon.json("GET", "/api/audit/verify")).body;

afterEach(async () => {
  await daemon?.stop();
});

test("a daemon killed under load loses no event of an answered request, and logs what was cut off", async () => {
  daemon = await startDaemon();
  await daemon.space("dev");
  const answered: string[] = [];
  const asked: string[] = [];
  let stop = false;
  const client = async (id: number) => {
    for (let n = 0; !stop; n++) {
      const command = `: ${id}-${n}`;
      asked.push(command);
      const answer = await daemon
        .json("POST", "/api/spaces/dev/exec", { command })
        .catch(() => undefined);
      if (answer?.status === 200) answered.push(command);
      else await delay(20);
    }
  };
  const clients = [0, 1, 2, 3].map(client);
  const long = daemon
    .json("POST", "/api/spaces/dev/exec", { command: "sleep 300" })
    .catch(() => undefined);
  for (let kill = 0; kill < 3; kill++) {
    await delay(700);
    await daemon.restart("SIGKILL");
  }
  await delay(300);
  stop = true;
  await Promise.all([...clients, long]);

  const logged: AuditEvent[] = [];
  for (let before = ""; ; ) {
    const page = (await daemon.json("GET", `/api/audit?type=space.exec&limit=1000${before}`)).body;
    logged.unshift(...page.events);
    if (page.next === undefined) break;
    before = `&before=${page.next}`;
  }
  const commands = logged.map((event) => event.meta?.command);
  expect(answered.length).toBeGreaterThan(50);
  expect(answered.filter((command) => !commands.includes(command))).toEqual([]);
  // Nothing twice, and nothing that was never asked for.
  expect(new Set(commands).size).toBe(commands.length);
  expect(
    commands.filter((command) => command !== "sleep 300" && !asked.includes(String(command))),
  ).toEqual([]);
  expect(logged.find((event) => event.meta?.command === "sleep 300")?.meta?.outcome).toBe(
    "interrupted",
  );
  expect(await verdict()).toMatchObject({ ok: true, faults: [] });
});

test("what a space's user does to the log's names in the space changes nothing, and a changed line shows", async () => {
  daemon = await startDaemon();
  await daemon.space("dev");
  await daemon.json("POST", "/api/spaces/dev/exec", { command: "echo hi; history -c; kill -9 $$" });
  const [event] = await events("type=space.exec");
  expect(event).toMatchObject({
    space: "dev",
    actor: "key:owner",
    meta: { command: "echo hi; history -c; kill -9 $$", exitCode: 137, outcome: "ok" },
  });
  const path = join(daemon.folder, "data", "audit.jsonl");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace("echo hi", "echo ho"));
  expect(await verdict()).toMatchObject({ ok: false, firstBadId: event?.id });
});

test("secrets of requests are in no file of the daemon's data", async () => {
  daemon = await startDaemon();
  const secret = "correct-horse-battery";
  await daemon.space("dev", { env: { DEPLOY_TOKEN: secret } });
  await daemon.json("POST", "/api/spaces/dev/exec", {
    command: `echo ${secret}; curl -s http://127.0.0.1:1/?key=${secret}2`,
    env: { OTHER_SECRET: `${secret}3` },
    stdin: `${secret}4`,
  });
  await daemon.json("POST", "/api/spaces/dev/git/push", { repoPath: "/none", token: `${secret}5` });
  await daemon.request("POST", `/api/spaces/dev/stop?key=${secret}6`);
  const all = await events();
  expect(all.map(({ type }) => type)).toEqual([
    "space.create",
    "space.exec",
    "space.git.push",
    "space.pause",
  ]);
  expect(all[0]?.meta?.env).toEqual(["DEPLOY_TOKEN"]);
  for (const file of ["audit.jsonl", "audit.jsonl.pending"]) {
    expect(await readFile(join(daemon.folder, "data", file), "utf8")).not.toContain(secret);
  }
  expect(daemon.log).not.toContain(secret);
});

test("pages of the log, its filters and its export agree", async () => {
  daemon = await startDaemon();
  await Promise.all([daemon.space("one"), daemon.space("two")]);
  for (let n = 0; n < 15; n++) {
    await daemon.json("POST", `/api/spaces/${n % 3 ? "one" : "two"}/exec`, { command: `: ${n}` });
  }
  const one = await events("space=one");
  expect(one.filter(({ type }) => type === "space.exec")).toHaveLength(10);
  const page = (await daemon.json("GET", "/api/audit?space=one&limit=4")).body;
  expect(page.events).toEqual(one.slice(-4));
  const older = (await daemon.json("GET", `/api/audit?space=one&limit=4&before=${page.next}`)).body;
  expect(older.events).toEqual(one.slice(-8, -4));
  const since = one[3]?.ts ?? "";
  expect(await events(`space=one&since=${since}&until=${one[6]?.ts}`)).toEqual(one.slice(3, 6));
  const exported = await (await daemon.request("GET", "/api/audit?format=jsonl&space=one")).text();
  expect(
    exported
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual(one);
  expect((await daemon.json("GET", "/api/audit?limit=5000")).status).toBe(400);
  expect((await daemon.json("GET", "/api/audit?type=not%20a%20type")).status).toBe(400);
});

test("a key that is limited to some spaces sees their events only", async () => {
  daemon = await startDaemon();
  await Promise.all([daemon.space("bot-1"), daemon.space("dev")]);
  const { body } = await daemon.json("POST", "/api/keys", {
    name: "bot",
    role: "agent",
    spaces: ["bot-*"],
  });
  const ask = async (path: string) =>
    await fetch(`${daemon.url}${path}`, { headers: { authorization: `Bearer ${body.secret}` } });
  const seen: AuditEvent[] = JSON.parse(await (await ask("/api/audit")).text()).events;
  expect(seen.map(({ space }) => space)).toEqual(["bot-1"]);
  expect((await ask("/api/audit?space=dev")).status).toBe(403);
  expect((await ask("/api/audit/verify")).status).toBe(403);
});

/** A file system of 4 MiB, as only root can make it. */
test("a full disk refuses what changes things, lets what runs finish, and lets everybody read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "clawdspace-full-"));
  const disk = join(folder, "disk");
  await mkdir(disk);
  await run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]);
  try {
    daemon = await startDaemon({ CLAWDSPACE_AUDIT_PATH: join(disk, "audit.jsonl") });
    await daemon.space("dev");
    const running = daemon.json("POST", "/api/spaces/dev/exec", { command: "sleep 4; echo done" });
    await delay(300);
    running.catch(() => {});
    await run("dd", ["if=/dev/zero", `of=${join(disk, "filler")}`, "bs=4k"]).catch(() => {});

    // The files that are there have a few bytes left.
    const done: string[] = [];
    let refused = await daemon.json("POST", "/api/spaces/dev/exec", { command: ": 0" });
    for (let n = 1; refused.status === 200; n++) {
      done.push(`: ${n - 1}`);
      refused = await daemon.json("POST", "/api/spaces/dev/exec", { command: `: ${n}` });
    }
    expect(refused.status).toBe(503);
    expect(refused.body.code).toBe("audit_unavailable");
    const touch = await daemon.json("POST", "/api/spaces/dev/exec", { command: "touch unlogged" });
    const create = await daemon.json("POST", "/api/spaces", { name: "other" });
    expect([touch.body.code, create.body.code]).toEqual(["audit_unavailable", "audit_unavailable"]);
    expect((await daemon.json("GET", "/api/spaces")).body.spaces).toHaveLength(1);
    expect((await running).body).toMatchObject({ stdout: "done", exitCode: 0 });
    const logged = await events("type=space.exec");
    expect(logged.map(({ meta }) => meta?.command)).toEqual([...done, "sleep 4; echo done"]);

    await rm(join(disk, "filler"));
    await expect
      .poll(
        async () =>
          (await daemon.json("POST", "/api/spaces/dev/exec", { command: "ls /workspace" })).status,
      )
      .toBe(200);
    expect((await events("type=audit.resume")).length).toBe(1);
    expect(
      (await daemon.json("POST", "/api/spaces/dev/exec", { command: "ls /workspace" })).body.stdout,
    ).toBe("");
    expect(await verdict()).toMatchObject({ ok: true });
  } finally {
    await daemon.kill();
    await run("umount", [disk]);
    await rm(folder, { recursive: true });
  }
});
