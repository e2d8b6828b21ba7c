import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { AuditEvent } from "@clawdspace/protocol";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditLog, type AuditOptions, verifyAuditLog } from "./audit-log.js";

const log = pino({ level: "silent" });
let folder: string;
let path: string;
let audit: AuditLog;

const open = async (options: Partial<AuditOptions> = {}) => {
  audit = await AuditLog.open({ path, rotateBytes: 64 * 1024, retention: {}, log, ...options });
  return audit;
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "clawdspace-audit-"));
  path = join(folder, "audit.jsonl");
});

afterEach(async () => {
  await audit?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A machine that is busy with other tests takes its time. */
const SLOW = { timeout: 15_000 };

const TYPES = ["space.exec", "space.pause", "space.file.write"];

/** Writes `count` events over seven spaces, many at once. */
async function fill(count: number, from = 0): Promise<AuditEvent[]> {
  const events: Promise<AuditEvent>[] = [];
  for (let n = from; n < from + count; n++) {
    events.push(
      audit.append({
        type: TYPES[n % 3] ?? "",
        space: `space-${n % 7}`,
        actor: n % 5 === 0 ? "key:ci" : "key:default",
        meta: { n, command: `echo ${"x".repeat(n % 200)} ü` },
      }),
    );
    if (n % 97 === 0) await Promise.all(events);
  }
  return await Promise.all(events);
}

/** The files that hold events, oldest first, as text. */
async function texts(): Promise<{ file: string; text: string }[]> {
  const names = (await readdir(folder)).filter((name) => /^audit(-\d+)?\.jsonl(\.gz)?$/.test(name));
  const ordered = [...names.filter((name) => name !== "audit.jsonl").sort(), "audit.jsonl"];
  return await Promise.all(
    ordered.map(async (file) => {
      const data = await readFile(join(folder, file));
      return { file, text: (file.endsWith(".gz") ? gunzipSync(data) : data).toString("utf8") };
    }),
  );
}

const put = (file: string, text: string) =>
  writeFile(join(folder, file), file.endsWith(".gz") ? gzipSync(text) : text);

test("events that were asked for at once come in order, numbered and chained", async () => {
  await open({ rotateBytes: 1024 ** 2 });
  const events = await fill(500);
  expect(events.map((event) => event.id)).toEqual(events.map((_, at) => at + 1));
  const written = (await readFile(path, "utf8")).trimEnd().split("\n");
  expect(written.map((line) => JSON.parse(line))).toEqual(events);
  expect(await audit.verify()).toEqual({
    ok: true,
    events: 500,
    firstId: 1,
    lastId: 500,
    faults: [],
  });
});

test("an event is in the file when append resolves", async () => {
  await open();
  const { id } = await audit.append({ type: "space.create", space: "dev" });
  expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({
    id,
    type: "space.create",
    space: "dev",
  });
});

test("full files are compressed, and everything stays readable and in order over a restart", async () => {
  await open();
  const events = await fill(3000);
  await audit.close();
  const files = await texts();
  expect(files.length).toBeGreaterThan(5);
  expect(files.slice(0, -1).every(({ file }) => file.endsWith(".gz"))).toBe(true);
  expect(
    files
      .flatMap(({ text }) => text.trimEnd().split("\n").filter(Boolean))
      .map((line) => JSON.parse(line)),
  ).toEqual(events);

  await open();
  const more = await fill(10, 3000);
  expect(more.map((event) => event.id)).toEqual([
    3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010,
  ]);
  expect(await audit.newest({}, 1000)).toEqual([...events, ...more].slice(-1000));
  expect(await audit.verify()).toMatchObject({ ok: true, events: 3010 });
});

test("queries answer what a filter over all events would", async () => {
  await open();
  const events = await fill(2500);
  const middle = new Date(Date.parse(events[1200]?.ts ?? ""));
  const cases: [Parameters<AuditLog["newest"]>[0], (event: AuditEvent) => boolean][] = [
    [{ space: "space-3" }, (event) => event.space === "space-3"],
    [{ space: "space" }, () => false],
    [{ type: "space.pause" }, (event) => event.type === "space.pause"],
    [
      { actor: "key:ci", space: "space-1" },
      (event) => event.actor === "key:ci" && event.space === "space-1",
    ],
    [{ before: 1000 }, (event) => event.id < 1000],
    [
      { after: 2400, type: "space.exec" },
      (event) => event.id > 2400 && event.type === "space.exec",
    ],
    [{ since: middle }, (event) => new Date(event.ts) >= middle],
    [
      { until: middle, space: "space-0" },
      (event) => new Date(event.ts) < middle && event.space === "space-0",
    ],
    [{ visible: (space) => space === "space-2" }, (event) => event.space === "space-2"],
  ];
  for (const [filter, matches] of cases) {
    const wanted = events.filter(matches);
    expect(await audit.newest(filter, 60)).toEqual(wanted.slice(-60));
    const lines: string[] = [];
    for await (const piece of audit.lines(filter)) lines.push(...piece.trimEnd().split("\n"));
    expect(lines.map((line) => JSON.parse(line))).toEqual(wanted);
  }
});

test("reads go on while the log is written, rotated and compressed", async () => {
  await open({ rotateBytes: 40 * 1024 });
  let done = false;
  const writing = fill(4000).finally(() => {
    done = true;
  });
  let reads = 0;
  writing.catch(() => {});
  while (!done) {
    const found = await audit.newest({ space: "space-4" }, 50);
    const ids = found.map((event) => event.id);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(found.every((event) => event.space === "space-4")).toBe(true);
    if (reads++ % 10 === 0) expect((await audit.verify()).faults).toEqual([]);
  }
  expect(await audit.newest({ space: "space-4" }, 50)).toEqual(
    (await writing).filter((event) => event.space === "space-4").slice(-50),
  );
});

test("a cut-off last line is taken out, kept aside and logged; the chain goes on", async () => {
  await open();
  const events = await fill(20);
  await audit.close();
  await appendFile(path, '{"id":21,"ts":"2026-01-01T00:00:00.000Z","type":"space.ex');
  await open();
  const [recover] = await audit.newest({ type: "audit.recover" }, 1);
  expect(recover).toMatchObject({ id: 21, meta: { cutBytes: 57, lostEvents: 0 } });
  expect(await readFile(`${path}.damaged`, "utf8")).toMatch(/^\{"id":21,.*space\.ex$/);
  expect((await audit.newest({ before: 21 }, 1000)).length).toBe(events.length);
  expect(await audit.verify()).toMatchObject({ ok: true, events: 21 });
});

test("zeros behind the last event, as a power cut leaves them, are taken out", async () => {
  await open();
  await fill(3);
  await audit.close();
  await appendFile(path, Buffer.concat([Buffer.alloc(5000), Buffer.from("\n"), Buffer.alloc(10)]));
  await open();
  expect(await audit.verify()).toMatchObject({ ok: true, events: 4 });
});

test("every changed line is found, wherever it stands", async () => {
  await open({ rotateBytes: 16 * 1024 });
  await fill(400);
  await audit.close();
  const files = await texts();
  expect(files.length).toBeGreaterThan(3);
  for (const wanted of [1, 2, 57, 200, 399, 400]) {
    const file = files.find(({ text }) => text.includes(`{"id":${wanted},`));
    if (!file) throw new Error(`event ${wanted} is nowhere`);
    await put(
      file.file,
      file.text.replace(new RegExp(`(\\{"id":${wanted},.*"n":)(\\d+)`), "$1999999"),
    );
    const verdict = await verifyAuditLog(path);
    expect({ ok: verdict.ok, bad: verdict.firstBadId, faults: verdict.faults.length }).toEqual({
      ok: false,
      bad: wanted,
      faults: 1,
    });
    expect(verdict.faults[0]).toMatchObject({ kind: "changed", id: wanted, file: file.file });
    await put(file.file, file.text);
  }
  expect(await verifyAuditLog(path)).toMatchObject({ ok: true, events: 400 });
});

test("deleted lines are found: at the start, in the middle, over two files, at the end", async () => {
  await open({ rotateBytes: 16 * 1024 });
  await fill(400);
  await audit.close();
  const files = await texts();
  const remove = async (from: number, to: number) => {
    for (const { file, text } of files) {
      const kept = text.split("\n").filter((line) => {
        const id = Number(/^\{"id":(\d+),/.exec(line)?.[1] ?? 0);
        return id < from || id > to;
      });
      await put(file, kept.join("\n"));
    }
  };
  for (const [from, to] of [
    [1, 1],
    [1, 120],
    [33, 33],
    [90, 290],
    [380, 400],
    [400, 400],
  ] as const) {
    await remove(from, to);
    const verdict = await verifyAuditLog(path);
    expect(verdict.firstBadId).toBe(from);
    expect(verdict.faults).toEqual([expect.objectContaining({ kind: "missing", id: from })]);
    expect(verdict.faults[0]?.lastId ?? from).toBe(to);
  }
});

test("a line that is no event, and a compressed file that is damaged, are found", async () => {
  await open({ rotateBytes: 16 * 1024 });
  await fill(200);
  await audit.close();
  const [first] = await texts();
  if (!first) throw new Error("no file");
  await put(first.file, first.text.replace(/^\{"id":7,.*$/m, "nothing happened here"));
  expect(await verifyAuditLog(path)).toMatchObject({
    ok: false,
    firstBadId: 7,
    faults: [{ kind: "unreadable", line: 7 }],
  });
  const good = gzipSync(first.text);
  good.fill(0, Math.floor(good.length / 2), Math.floor(good.length / 2) + 200);
  await writeFile(join(folder, first.file), good);
  const verdict = await verifyAuditLog(path);
  expect(verdict.ok).toBe(false);
  expect(verdict.faults[0]?.kind).toBe("unreadable");

  await open({ rotateBytes: 16 * 1024 });
  expect((await audit.newest({}, 20)).at(-1)).toMatchObject({ id: 200 });
});

test("events cut off the end while the daemon was away show for good", async () => {
  await open();
  await fill(50);
  await audit.close();
  const text = await readFile(path, "utf8");
  await writeFile(path, text.split("\n").slice(0, 40).join("\n").concat("\n"));
  await open();
  const [recover] = await audit.newest({ type: "audit.recover" }, 1);
  expect(recover).toMatchObject({ id: 51, meta: { lostEvents: 10 } });
  expect(await audit.verify()).toMatchObject({
    ok: false,
    firstBadId: 41,
    faults: [{ kind: "missing", id: 41, lastId: 50 }],
  });
});

test("what is older than is kept is let go of, which the chain knows", async () => {
  await open({ rotateBytes: 16 * 1024 });
  await fill(600);
  await audit.close();
  await open({ rotateBytes: 16 * 1024, retention: { maxBytes: 8 * 1024 } });
  await expect
    .poll(async () => (await audit.newest({ type: "audit.prune" }, 100)).length, SLOW)
    .toBeGreaterThan(3);
  const prunes = await audit.newest({ type: "audit.prune" }, 100);
  await expect
    .poll(async () => (await audit.verify()).firstId, SLOW)
    .toBe(Number(prunes.at(-1)?.meta?.lastId) + 1);
  expect(await audit.verify()).toMatchObject({ ok: true });
  // The oldest file that is left is deleted by hand: nothing in the log explains that.
  await audit.close();
  const oldest = (await texts())[0];
  await rm(join(folder, oldest?.file ?? ""));
  expect(await verifyAuditLog(path)).toMatchObject({ ok: false, faults: [{ kind: "missing" }] });
});

test("an index that is lost or not its segment's is made anew", async () => {
  await open();
  const events = await fill(1500);
  await audit.close();
  const indices = (await readdir(folder)).filter((name) => name.endsWith(".index"));
  expect(indices.length).toBeGreaterThan(1);
  await rm(join(folder, indices[0] ?? ""));
  await writeFile(
    join(folder, indices[1] ?? ""),
    await readFile(join(folder, indices[1] ?? "")).then((data) => data.subarray(0, 300)),
  );
  await open();
  expect(await audit.newest({ space: "space-5" }, 1000)).toEqual(
    events.filter((event) => event.space === "space-5"),
  );
});

test("a second writer is refused while the first lives, and let in when it is gone", async () => {
  await open();
  await expect(AuditLog.open({ path, rotateBytes: 1024, retention: {}, log })).rejects.toThrow(
    /remove .*\.lock/,
  );
  await audit.close();
  await writeFile(`${path}.lock`, "999999999 1");
  await open();
  await audit.append({ type: "space.create" });
});

test("after close nothing is written any more", async () => {
  await open();
  await audit.close();
  await expect(audit.append({ type: "space.create" })).rejects.toMatchObject({
    code: "audit_unavailable",
  });
});
