import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Recorder } from "./recorder.js";

let folder: string;
let path: string;
let recorder: Recorder;

const open = async () => {
  recorder = new Recorder({
    path,
    rotateBytes: 1024 ** 2,
    retention: {},
    log: pino({ level: "silent" }),
  });
  await recorder.open();
};

/** Lets go of the files as a killed process would: what is written stays. */
async function kill(): Promise<void> {
  const pending = await readFile(`${path}.pending`);
  await recorder.close();
  await writeFile(`${path}.pending`, pending);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "clawdspace-recorder-"));
  path = join(folder, "audit.jsonl");
  await open();
});

afterEach(async () => {
  await recorder.close();
  await rm(folder, { recursive: true, force: true });
});

test("an operation is one event, with how it ended and how long it took", async () => {
  const operation = await recorder.begin({
    type: "space.exec",
    space: "dev",
    actor: "key:ci",
    request: "r1",
    meta: { command: "true" },
  });
  expect(recorder.log.lastId).toBe(0);
  operation.add({ exitCode: 0 });
  await operation.finish();
  await operation.finish({ outcome: "error", code: "internal" });
  const events = await recorder.log.newest({}, 10);
  expect(events).toEqual([
    expect.objectContaining({
      type: "space.exec",
      space: "dev",
      actor: "key:ci",
      meta: {
        command: "true",
        exitCode: 0,
        outcome: "ok",
        durationMs: expect.any(Number),
        request: "r1",
      },
    }),
  ]);
});

test("secrets never reach a file", async () => {
  const operation = await recorder.begin({
    type: "space.exec",
    meta: { command: "echo s3cret-value; curl h?key=hunter2" },
    secrets: ["s3cret-value"],
  });
  operation.add({ note: "s3cret-value" });
  const pending = await readFile(`${path}.pending`, "utf8");
  await operation.finish();
  await recorder.append({ type: "space.shell", meta: { command: "export TOKEN=hunter2" } });
  const files = pending + (await readFile(path, "utf8"));
  expect(files).toContain("echo ***");
  expect(files).not.toMatch(/hunter2|s3cret/);
});

test("what a killed daemon had under way is logged once, as interrupted", async () => {
  await recorder.begin({
    type: "space.exec",
    space: "dev",
    request: "cut",
    meta: { command: "sleep 100" },
  });
  const done = await recorder.begin({ type: "space.exec", space: "dev", request: "done" });
  await done.finish();
  await kill();
  await open();
  await kill();
  await open();
  const events = await recorder.log.newest({}, 10);
  expect(events.map(({ meta }) => [meta?.request, meta?.outcome])).toEqual([
    ["done", "ok"],
    ["cut", "interrupted"],
  ]);
  expect(events[1]).toMatchObject({
    type: "space.exec",
    space: "dev",
    meta: { command: "sleep 100", startedAt: expect.any(String) },
  });
});

test("an event that was written just before the kill is not logged again", async () => {
  const operation = await recorder.begin({ type: "space.pause", space: "dev", request: "r1" });
  const underWay = await readFile(`${path}.pending`);
  await operation.finish();
  await recorder.close();
  await writeFile(`${path}.pending`, Buffer.concat([underWay, Buffer.from('{"request":"half')]));
  await open();
  expect(await recorder.log.newest({}, 10)).toHaveLength(1);
});

test("the file of what is under way stays small", async () => {
  const long = await recorder.begin({ type: "terminal.close", space: "dev", request: "long" });
  for (let n = 0; n < 600; n++) {
    const operation = await recorder.begin({
      type: "space.exec",
      meta: { command: "x ".repeat(4000) },
    });
    await operation.finish();
  }
  expect((await stat(`${path}.pending`)).size).toBeLessThan(5 * 1024 ** 2);
  expect(await readFile(`${path}.pending`, "utf8")).toContain('"request":"long"');
  await long.finish();
  await (await recorder.begin({ type: "space.exec" })).finish();
  expect((await stat(`${path}.pending`)).size).toBeLessThan(1024 ** 2);
});
