import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { UnfinishedStore } from "./unfinished-store.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "unfinished-"));
});
afterEach(() => rm(folder, { recursive: true }));

const record = { kind: "create" as const, createId: "c1", at: 1 };

it("tells the next daemon what this one left, and never this one of its own", async () => {
  const store = new UnfinishedStore(folder);
  await store.add(record);
  expect(await store.left()).toEqual([]);
  const [left] = await new UnfinishedStore(folder).left();
  expect(left?.record).toEqual(record);
  await left?.forget();
  expect(await new UnfinishedStore(folder).left()).toEqual([]);
});

it("forgets what is done", async () => {
  const done = await new UnfinishedStore(folder).add(record);
  await done();
  expect(await new UnfinishedStore(folder).left()).toEqual([]);
});

it("removes a file that was cut off while it was written", async () => {
  await writeFile(join(folder, "x.json"), '{"kind":"crea');
  await writeFile(join(folder, "y.json"), '{"kind":"create"}');
  expect(await new UnfinishedStore(folder).left()).toEqual([]);
  expect(await new UnfinishedStore(join(folder, "none")).left()).toEqual([]);
});
