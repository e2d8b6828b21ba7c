import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LetGo, Spool } from "./spool.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "spool-"));
});
afterAll(async () => await rm(folder, { recursive: true }));

async function spoolOf(source: PassThrough, first: Buffer[] = []): Promise<Spool> {
  source.on("error", () => {});
  return await Spool.begin(source, source[Symbol.asyncIterator](), first, folder);
}

test("a source is taken in whole before anybody reads, and read in order; no name is left", async () => {
  const source = new PassThrough();
  const spool = await spoolOf(source, [Buffer.from("first ")]);
  const bytes = randomBytes(3_000_000);
  source.end(bytes);
  await spool.taken;
  expect(source.destroyed).toBe(true);
  expect(await readdir(folder)).toEqual([]);
  const read = await buffer(spool.stream());
  expect(read.equals(Buffer.concat([Buffer.from("first "), bytes]))).toBe(true);
});

test("a reader that is ahead waits for the source, and hears of its failure", async () => {
  const source = new PassThrough();
  const stream = (await spoolOf(source)).stream();
  const read = stream[Symbol.asyncIterator]();
  const pending = read.next();
  source.write("one");
  expect((await pending).value.toString()).toBe("one");
  source.destroy(new Error("broke off"));
  await expect(read.next()).rejects.toThrow("broke off");
});

test("what is let go of gives what it has, and says that it was", async () => {
  const source = new PassThrough();
  const spool = await spoolOf(source);
  source.write("some");
  const read = spool.stream()[Symbol.asyncIterator]();
  expect((await read.next()).value.toString()).toBe("some");
  spool.letGo();
  await spool.taken;
  await expect(read.next()).rejects.toThrow(LetGo);
});

test("a reader that leaves ends the source", async () => {
  const source = new PassThrough();
  const spool = await spoolOf(source);
  spool.stream().destroy();
  await spool.taken;
  expect(source.destroyed).toBe(true);
});
