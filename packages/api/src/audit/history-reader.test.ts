import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HistoryReader, SHELL_EVENT } from "./history-reader.js";
import { HistoryState } from "./history-state.js";
import { Recorder } from "./recorder.js";

let folder: string;
let recorder: Recorder;
let state: HistoryState;
let reader: HistoryReader;
let text: string;
let mtimeMs: number;
let reads: number[];

const file = {
  stat: async () => (text === "" ? undefined : { size: Buffer.byteLength(text), mtimeMs }),
  read: async (offset: number, length: number) => {
    reads.push(length);
    return Buffer.from(text).subarray(offset, offset + length);
  },
};
const write = (content: string) => {
  text = content;
  mtimeMs += 1000;
};
const run = (...commands: string[]) =>
  write(
    text + commands.map((each, n) => `#${1_700_000_000 + text.length + n}\n${each}\n`).join(""),
  );
const look = async (asleep = false) => await reader.read("dev", file, asleep);
const logged = async () =>
  (await recorder.log.newest({ type: SHELL_EVENT }, 1000)).map(({ meta }) => meta?.command);

/** A daemon's start. @param saved whether the one before got to save its places. */
async function start(saved = true): Promise<void> {
  if (recorder) {
    if (saved) await state.save(recorder.log.lastId);
    await recorder.close();
  }
  recorder = new Recorder({
    path: join(folder, "audit.jsonl"),
    rotateBytes: 1024 ** 2,
    retention: {},
    log: pino({ level: "silent" }),
  });
  await recorder.open();
  state = new HistoryState(join(folder, "history.json"));
  reader = new HistoryReader(recorder, state, await state.load());
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "clawdspace-history-"));
  text = "";
  mtimeMs = 1_700_000_000_000;
  reads = [];
  await start(false);
});
afterEach(async () => {
  await recorder.close();
  await rm(folder, { recursive: true, force: true });
});

test("each command is logged once, marked, masked, with the shell's time", async () => {
  await look();
  run("ls", "export TOKEN=hunter2");
  await look();
  await look();
  run("pwd");
  await look();
  expect(await logged()).toEqual(["ls", "export TOKEN=***", "pwd"]);
  const [event] = await recorder.log.newest({ type: SHELL_EVENT }, 1);
  expect(event).toMatchObject({
    space: "dev",
    meta: { source: "bash_history", at: expect.stringMatching(/^2023-/) },
  });
  expect(event?.actor).toBeUndefined();
});

test("a file that did not change is not read", async () => {
  run("ls");
  await look();
  const before = reads.length;
  for (let n = 0; n < 5; n++) await look();
  expect(reads.length).toBe(before);
});

test("only what is new is read", async () => {
  run(...Array.from({ length: 150 }, (_, n) => `echo ${n} ${"x".repeat(500)}`));
  await look();
  run("last");
  reads = [];
  await look();
  expect(reads).toHaveLength(1);
  expect((await logged()).at(-1)).toBe("last");
  expect(await logged()).toHaveLength(151);
});

test.each([
  ["saved its places", true],
  ["was killed before it saved them", false],
])("nothing is lost or logged twice where the daemon %s", async (_, saved) => {
  run("one", "two");
  await look();
  await start(saved);
  run("three");
  await look();
  await start(saved);
  await look();
  expect(await logged()).toEqual(["one", "two", "three"]);
});

test("a cleared history is followed from its start", async () => {
  run("one", "two");
  await look();
  write("");
  await look();
  run("three");
  for (let n = 0; n < 3; n++) await look();
  expect(await logged()).toEqual(["one", "two", "three"]);
});

test("a history that was written anew adds only what it had not", async () => {
  run("one", "two", "three");
  await look();
  const lines = text;
  // As `history -d 1; history -w` does: the first is gone, the rest stays.
  write(lines.slice(lines.indexOf("\n", 12) + 1));
  run("four");
  for (let n = 0; n < 3; n++) await look();
  // A file of the same length and more, but another one.
  write(text.replace("three", "THREE"));
  run("five");
  for (let n = 0; n < 3; n++) await look();
  expect(await logged()).toEqual(["one", "two", "three", "four", "THREE", "five"]);
});

test("the same command at the same time, twice in the file, is two events", async () => {
  write("#1700000000\nls\n#1700000000\nls\n");
  await look();
  expect(await logged()).toEqual(["ls", "ls"]);
});

test("a flood is taken in steps, and what is far behind is left out and said", async () => {
  write(`#1700000000\n${"x".repeat(999)}\n`.repeat(6000));
  let rounds = 0;
  while (!(await look()) && rounds < 100) rounds++;
  const [skipped] = await recorder.log.newest({ type: "space.shell.skipped" }, 5);
  expect(Number(skipped?.meta?.bytes)).toBeGreaterThan(5 * 1024 ** 2);
  expect(Math.max(...reads)).toBeLessThan(300 * 1024);
  expect((await logged()).length).toBeLessThan(300);
  run("after");
  await look();
  expect((await logged()).at(-1)).toBe("after");
});

test("a line without end does not hold up what follows", async () => {
  write(`#1700000000\n${"x".repeat(600_000)}`);
  for (let n = 0; n < 5; n++) await look();
  const before = reads.length;
  await look();
  expect(reads.length).toBe(before);
  run("\nafter");
  for (let n = 0; n < 5; n++) await look();
  expect((await logged()).at(-1)).toContain("after");
});

test("while the log can't be written nothing is lost", async () => {
  run("one", "two");
  await recorder.log.close();
  await look().catch(() => {});
  await start();
  await look();
  expect(await logged()).toEqual(["one", "two"]);
});
