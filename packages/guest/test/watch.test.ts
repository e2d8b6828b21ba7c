import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { descriptorsOf } from "../../../test/support/descriptors.js";
import type { GuestConnection } from "../../api/src/guest/index.js";
import type { GuestWatchEvent } from "../../api/src/guest/types.js";
import { TestGuest, until } from "./support.js";

let guest: TestGuest;
let connection: GuestConnection;

beforeEach(async () => {
  guest = new TestGuest();
  connection = await guest.open();
});

afterEach(async () => {
  connection.close();
  await guest.stop();
});

const at = (...parts: string[]) => join(guest.root, ...parts);

/** Watches, notes every event in short form, and waits for some of them. */
async function watching(path: string, recursive: boolean) {
  const abort = new AbortController();
  const seen: string[] = [];
  const events = await connection.watch(path, { recursive }, abort.signal);
  const ended = (async () => {
    for await (const event of events) seen.push(short(event));
    seen.push("end");
  })().catch((error) => seen.push(error.code));
  return {
    seen,
    sees: (...wanted: string[]) =>
      until(`${wanted} in ${seen}`, () => wanted.every((one) => seen.includes(one))),
    stop: async () => {
      abort.abort();
      await ended;
    },
  };
}

function short(event: GuestWatchEvent): string {
  if (event.type === "overflow") return "overflow";
  const path = `${event.path}${event.dir ? "/" : ""}`;
  return event.type === "renamed" ? `renamed ${event.from} ${path}` : `${event.type} ${path}`;
}

const inotifyInstances = () =>
  descriptorsOf(guest.pid).filter((target) => target === "anon_inode:inotify").length;

test("an inotify instance is held only while something is watched, and one for all", async () => {
  expect(inotifyInstances()).toBe(0);
  const one = await watching("/", true);
  const two = await watching("/", false);
  expect(inotifyInstances()).toBe(1);
  await one.stop();
  expect(one.seen).toEqual(["aborted"]);
  fs.writeFileSync(at("x"), "");
  await two.sees("created x");
  await two.stop();
  await connection.ping();
  expect(inotifyInstances()).toBe(0);
});

test("created, modified, removed and renamed are told with their paths", async () => {
  fs.mkdirSync(at("dir"));
  fs.writeFileSync(at("dir/old"), "1");
  const watch = await watching("/dir", false);
  fs.writeFileSync(at("dir/new"), "content");
  fs.mkdirSync(at("dir/sub"));
  await watch.sees("created dir/new", "modified dir/new", "created dir/sub/");
  fs.renameSync(at("dir/new"), at("dir/moved"));
  await watch.sees("renamed dir/new dir/moved");
  fs.renameSync(at("dir/moved"), at("out"));
  await watch.sees("removed dir/moved");
  fs.renameSync(at("out"), at("dir/in"));
  await watch.sees("created dir/in");
  fs.unlinkSync(at("dir/old"));
  fs.chmodSync(at("dir/in"), 0o600);
  await watch.sees("removed dir/old", "modified dir/in");
  // Not recursive, and not outside.
  fs.writeFileSync(at("dir/sub/below"), "");
  fs.writeFileSync(at("beside"), "");
  fs.writeFileSync(at("dir/last"), "");
  await watch.sees("created dir/last");
  expect(watch.seen.filter((line) => /below|beside/.test(line))).toEqual([]);
  await watch.stop();
});

describe("recursive", () => {
  test("sees folders that are made, moved and filled while it watches", async () => {
    fs.mkdirSync(at("a/b/c"), { recursive: true });
    const watch = await watching("/", true);
    fs.writeFileSync(at("a/b/c/deep"), "");
    await watch.sees("created a/b/c/deep");
    fs.mkdirSync(at("n/e/w"), { recursive: true });
    fs.writeFileSync(at("n/e/w/file"), "");
    await watch.sees("created n/", "created n/e/", "created n/e/w/", "created n/e/w/file");
    fs.renameSync(at("a/b"), at("n/moved"));
    await watch.sees("renamed a/b n/moved/");
    fs.writeFileSync(at("n/moved/c/later"), "");
    await watch.sees("created n/moved/c/later");
    fs.rmSync(at("n"), { recursive: true });
    await watch.sees("removed n/moved/c/later", "removed n/");
    fs.writeFileSync(at("still"), "");
    await watch.sees("created still");
    await watch.stop();
  });

  test("a folder that was moved away is watched no longer", async () => {
    fs.mkdirSync(at("in/dir"), { recursive: true });
    fs.mkdirSync(at("out"));
    const watch = await watching("/in", true);
    fs.renameSync(at("in/dir"), at("out/dir"));
    await watch.sees("removed in/dir/");
    fs.writeFileSync(at("out/dir/file"), "");
    fs.writeFileSync(at("in/end"), "");
    await watch.sees("created in/end");
    expect(watch.seen.filter((line) => line.includes("file"))).toEqual([]);
    await watch.stop();
  });

  test("2,000 folders and a thousand changes", async () => {
    for (let i = 0; i < 2000; i++)
      fs.mkdirSync(at("many", `${i % 50}`, `${i}`), { recursive: true });
    const watch = await watching("/many", true);
    for (let i = 0; i < 1000; i++) fs.writeFileSync(at("many", `${i % 50}`, `${i}`, "f"), "");
    await watch.sees(...Array.from({ length: 1000 }, (_, i) => `created many/${i % 50}/${i}/f`));
    await watch.stop();
  });
});

test("a single file is watched also when it is replaced", async () => {
  await connection.files.writeAll("/dir/config", Buffer.from("1"));
  const watch = await watching("/dir/config", false);
  fs.writeFileSync(at("dir/other"), "");
  fs.appendFileSync(at("dir/config"), "2");
  await watch.sees("modified dir/config");
  watch.seen.length = 0;
  await connection.files.writeAll("/dir/config", Buffer.from("3"));
  await watch.sees("modified dir/config");
  fs.unlinkSync(at("dir/config"));
  await watch.sees("removed dir/config");
  expect(watch.seen.filter((line) => /other|clawd-tmp/.test(line))).toEqual([]);
  await watch.stop();
});

test("our own temporary files are not told of", async () => {
  const watch = await watching("/", true);
  await connection.files.writeAll("/f", Buffer.from("1"));
  await connection.files.writeAll("/f", Buffer.from("2"));
  await watch.sees("created f", "modified f");
  expect(watch.seen.filter((line) => line.includes("clawd-tmp"))).toEqual([]);
  await watch.stop();
});

test("ends with the folder that it watches", async () => {
  fs.mkdirSync(at("dir"));
  const watch = await watching("/dir", false);
  fs.rmdirSync(at("dir"));
  await watch.sees("end");
});

test("a flood that nobody reads becomes an overflow, then it goes on", async () => {
  const abort = new AbortController();
  const events = await connection.watch("/", { recursive: false }, abort.signal);
  for (let i = 0; i < 20_000; i++) fs.writeFileSync(at(`file-with-a-longer-name-${i}`), "");
  let overflowed = false;
  let last = "";
  for await (const event of events) {
    if (event.type === "overflow") {
      overflowed = true;
      fs.writeFileSync(at("afterwards"), "");
    } else if (overflowed) {
      last = event.path.toString();
      if (last === "afterwards") break;
    }
  }
  expect(last).toBe("afterwards");
});

test("after a reattach it says that it may have missed something, and goes on", async () => {
  const watch = await watching("/", false);
  guest.cut();
  fs.writeFileSync(at("meanwhile"), "");
  await watch.sees("overflow");
  fs.writeFileSync(at("after"), "");
  await watch.sees("created after");
  await watch.stop();
});

test("what can't be watched is said", async () => {
  await expect(connection.watch("/none", {})).rejects.toMatchObject({ code: "not_found" });
  const all = await Promise.all(Array.from({ length: 16 }, () => watching("/", false)));
  await expect(connection.watch("/", {})).rejects.toMatchObject({ code: "limit" });
  for (const one of all) await one.stop();
});
