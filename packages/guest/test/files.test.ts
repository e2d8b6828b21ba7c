import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GuestConnection } from "../../api/src/guest/index.js";
import type { GuestFiles } from "../../api/src/guest/types.js";
import { TestGuest } from "./support.js";

let guest: TestGuest;
let connection: GuestConnection;
let files: GuestFiles;

beforeEach(async () => {
  guest = new TestGuest();
  connection = await guest.open();
  files = connection.files;
});

afterEach(async () => {
  connection.close();
  await guest.stop();
});

const at = (...parts: string[]) => join(guest.root, ...parts);
const text = (data: Buffer) => data.toString();
const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe("reading and writing", () => {
  test("what was written is read, with mode and parents", async () => {
    const stat = await files.writeAll("/a/b/c.txt", Buffer.from("hello"), { mode: 0o750 });
    expect(stat).toMatchObject({ type: "file", size: 5, mode: 0o750, nlink: 1 });
    expect(fs.statSync(at("a/b/c.txt")).mode & 0o7777).toBe(0o750);
    expect(fs.statSync(at("a/b")).mode & 0o7777).toBe(0o755);
    const read = await files.readAll("a/b/c.txt", { maxBytes: 100 });
    expect(text(read.data)).toBe("hello");
    expect(read.truncated).toBe(false);
    expect(read.stat).toEqual(stat);
  });

  test("ranges and cuts", async () => {
    await files.writeAll("/f", Buffer.from("0123456789"));
    expect(await files.readAll("/f", { maxBytes: 4 })).toMatchObject({ truncated: true });
    expect(text((await files.readAll("/f", { maxBytes: 4 })).data)).toBe("0123");
    const { stream } = await files.read("/f", { offset: 7, length: 2 });
    expect(text(Buffer.concat(await stream.toArray()))).toBe("78");
    const past = await files.read("/f", { offset: 100 });
    expect(await past.stream.toArray()).toEqual([]);
  });

  test("64 MiB both ways, streamed", async () => {
    const block = randomBytes(1 << 20);
    const hash = createHash("sha256");
    const { stream, result } = files.write("/big");
    await pipeline(
      Readable.from(
        (function* () {
          for (let i = 0; i < 64; i++) {
            block.writeUInt32LE(i, 0);
            hash.update(block);
            yield Buffer.from(block);
          }
        })(),
      ),
      stream,
    );
    expect((await result).size).toBe(64 << 20);
    const back = createHash("sha256");
    const reader = await files.read("/big");
    for await (const chunk of reader.stream) back.update(chunk);
    expect(back.digest("hex")).toBe(hash.digest("hex"));
  });

  test("a hundred files at once, each slower than its window", async () => {
    const data = randomBytes(300_000);
    await files.writeAll("/f", data);
    const readers = await Promise.all(Array.from({ length: 100 }, () => files.read("/f")));
    await connection.ping();
    const all = await Promise.all(readers.map(({ stream }) => stream.toArray()));
    for (const parts of all) expect(Buffer.concat(parts).equals(data)).toBe(true);
  });

  test("a reader sees the old file or the new one, never half of one", async () => {
    await files.writeAll("/f", Buffer.alloc(200_000, "a"));
    const writer = files.write("/f");
    writer.stream.write(Buffer.alloc(150_000, "b"));
    await connection.ping();
    expect(fs.readFileSync(at("f"), "utf8")).toBe("a".repeat(200_000));
    expect(fs.readdirSync(guest.root)).toEqual(["f"]);
    writer.stream.end(Buffer.alloc(50_000, "b"));
    await writer.result;
    expect(fs.readFileSync(at("f"), "utf8")).toBe("b".repeat(200_000));
    expect(fs.readdirSync(guest.root)).toEqual(["f"]);
  });

  test("a write that is given up leaves the old file and nothing else", async () => {
    await files.writeAll("/f", Buffer.from("old"));
    const writer = files.write("/f");
    writer.stream.write(Buffer.from("new"));
    await connection.ping();
    writer.stream.destroy();
    await expect(writer.result).rejects.toMatchObject({ code: "aborted" });
    await connection.ping();
    expect(fs.readFileSync(at("f"), "utf8")).toBe("old");
    expect(fs.readdirSync(guest.root)).toEqual(["f"]);
    const cut = files.write("/f");
    cut.stream.write(Buffer.from("new"));
    await connection.ping();
    guest.cut();
    await expect(cut.result).rejects.toMatchObject({ code: "unavailable" });
    expect(text((await files.readAll("/f", { maxBytes: 10 })).data)).toBe("old");
  });

  test("an existing file keeps its mode; a read-only one is not replaced", async () => {
    fs.writeFileSync(at("script"), "x", { mode: 0o755 });
    await files.writeAll("/script", Buffer.from("y"));
    expect(fs.statSync(at("script")).mode & 0o777).toBe(0o755);
  });

  test("append and exclusive", async () => {
    await files.writeAll("/log", Buffer.from("one\n"), { append: true });
    await files.writeAll("/log", Buffer.from("two\n"), { append: true });
    expect(fs.readFileSync(at("log"), "utf8")).toBe("one\ntwo\n");
    await expect(
      files.writeAll("/log", Buffer.from("x"), { exclusive: true }),
    ).rejects.toMatchObject({ code: "exists" });
    await expect(
      files.writeAll("/log", Buffer.from("x"), { exclusive: true, append: true }),
    ).rejects.toMatchObject({ code: "exists" });
    await files.writeAll("/new", Buffer.from("x"), { exclusive: true });
    expect(fs.readFileSync(at("new"), "utf8")).toBe("x");
  });

  test("etags guard against lost updates", async () => {
    const first = await files.writeAll("/f", Buffer.from("1"));
    const second = await files.writeAll("/f", Buffer.from("2"), { ifMatch: first.etag });
    expect(second.etag).not.toBe(first.etag);
    await expect(
      files.writeAll("/f", Buffer.from("3"), { ifMatch: first.etag }),
    ).rejects.toMatchObject({ code: "precondition" });
    await expect(files.read("/f", { ifMatch: first.etag })).rejects.toMatchObject({
      code: "precondition",
    });
    await expect(
      files.writeAll("/other", Buffer.from("3"), { ifMatch: first.etag }),
    ).rejects.toMatchObject({ code: "precondition" });
    // Changed between the first byte and the last.
    const slow = files.write("/f", { ifMatch: second.etag });
    slow.stream.write("slow");
    await connection.ping();
    fs.writeFileSync(at("f"), "somebody else");
    slow.stream.end();
    await expect(slow.result).rejects.toMatchObject({ code: "precondition" });
    expect(fs.readFileSync(at("f"), "utf8")).toBe("somebody else");
  });

  test("only regular files are read and replaced", async () => {
    fs.mkdirSync(at("dir"));
    execFileSync("mkfifo", [at("pipe")]);
    await expect(files.read("/dir")).rejects.toMatchObject({ code: "is_directory" });
    await expect(files.read("/pipe")).rejects.toMatchObject({ code: "invalid" });
    await expect(files.read("/none")).rejects.toMatchObject({ code: "not_found" });
    await expect(files.read("/dir/x/y")).rejects.toMatchObject({ code: "not_found" });
    await expect(files.writeAll("/dir", Buffer.from("x"))).rejects.toMatchObject({
      code: "is_directory",
    });
    await expect(files.writeAll("/pipe", Buffer.from("x"))).rejects.toMatchObject({
      code: "invalid",
    });
    await expect(files.writeAll("/pipe", Buffer.from("x"), { append: true })).rejects.toThrow();
    fs.writeFileSync(at("file"), "");
    await expect(files.writeAll("/file/below", Buffer.from("x"))).rejects.toMatchObject({
      code: "not_directory",
    });
  });

  test("a full file system is no_space and leaves the old file", async () => {
    fs.mkdirSync(at("small"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", at("small")]);
    try {
      await files.writeAll("/small/f", Buffer.from("old"));
      await expect(files.writeAll("/small/f", Buffer.alloc(3 << 20))).rejects.toMatchObject({
        code: "no_space",
      });
      expect(text((await files.readAll("/small/f", { maxBytes: 10 })).data)).toBe("old");
      expect((await files.statvfs("/small")).totalBytes).toBe(1 << 20);
    } finally {
      execFileSync("umount", [at("small")]);
    }
  });
});

const HOSTILE_NAMES = [
  " ",
  "-rf",
  "--",
  "a'b\"c`d$(e)",
  "new\nline",
  "tab\tbell\u0007",
  "*?[x]",
  "...",
  "back\\slash",
  "ünïcödé ✓",
  "x".repeat(255),
].map((name) => Buffer.from(name));
const NOT_UTF8 = Buffer.from([0x66, 0xff, 0xfe, 0x80, 0x0a]);

describe("names", () => {
  test.each([...HOSTILE_NAMES, NOT_UTF8].map((name) => [JSON.stringify(name.toString()), name]))(
    "%s survives a round trip",
    async (_shown, name) => {
      const bytes = name as Buffer;
      const path = Buffer.concat([Buffer.from("/dir/"), bytes]);
      await files.writeAll(path, Buffer.from("content"));
      const page = await files.list("/dir");
      expect(page.entries.map((entry) => entry.name)).toEqual([bytes]);
      expect(text((await files.readAll(path, { maxBytes: 99 })).data)).toBe("content");
      expect(fs.readdirSync(Buffer.from(at("dir")), "buffer")).toEqual([bytes]);
      const moved = Buffer.concat([path.subarray(0, 5), Buffer.from("moved")]);
      await files.rename(path, moved);
      await files.rename(moved, path);
      await files.symlink("/link", path);
      expect(await files.readlink("/link")).toEqual(path);
      expect(await files.remove(path)).toEqual({ entries: 1 });
      await expect(files.stat(path)).rejects.toMatchObject({ code: "not_found" });
    },
  );

  test("what is no path is refused", async () => {
    await expect(files.stat("a\0b")).rejects.toMatchObject({ code: "invalid" });
    await expect(files.stat("x".repeat(256))).rejects.toMatchObject({ code: "invalid" });
    await expect(files.stat("x/".repeat(4000))).rejects.toThrow(code("invalid") ? undefined : "");
    for (const path of ["/", "", ".", "/.", "a/..", ".."]) {
      await expect(files.remove(path, { recursive: true })).rejects.toMatchObject({
        code: "invalid",
      });
    }
  });

  test("20,000 entries come in pages, each once", async () => {
    fs.mkdirSync(at("many"));
    for (let i = 0; i < 20_000; i++) fs.writeFileSync(at("many", `file-${i}`), "");
    const names = new Set<string>();
    let pages = 0;
    let cursor: string | undefined;
    do {
      const page = await files.list("/many", { limit: 4000, ...(cursor ? { cursor } : {}) });
      for (const entry of page.entries) names.add(entry.name.toString());
      expect(page.entries.length).toBeLessThanOrEqual(4000);
      cursor = page.cursor;
      pages++;
    } while (cursor !== undefined);
    expect(names.size).toBe(20_000);
    expect(pages).toBeGreaterThanOrEqual(5);
    expect(await files.remove("/many", { recursive: true })).toEqual({ entries: 20_001 });
    expect(fs.existsSync(at("many"))).toBe(false);
  });
});

describe("what leads out", () => {
  beforeEach(() => {
    fs.mkdirSync(at("dir"));
    fs.writeFileSync(at("dir/inside"), "inside");
  });

  test("dots and symlinks out are refused by everything that takes a path", async () => {
    fs.symlinkSync("../../../../etc", at("up"));
    fs.symlinkSync("/etc", at("away"));
    fs.symlinkSync("/etc/hostname", at("file"));
    fs.symlinkSync("away/../../x", at("chain"));
    for (const bad of ["../x", "dir/../../x", "up/hostname", "away/hostname"]) {
      const all = [
        files.stat(bad),
        files.list(bad),
        files.read(bad),
        files.writeAll(bad, Buffer.from("x")),
        files.writeAll(bad, Buffer.from("x"), { append: true }),
        files.mkdir(bad),
        files.mkdir(bad, { parents: false }),
        files.rename(bad, "/x"),
        files.rename("/dir", bad),
        files.copy(bad, "/x"),
        files.copy("/dir/inside", bad),
        files.remove(bad),
        files.chmod(bad, 0o777),
        files.symlink(bad, "x"),
        files.readlink(bad),
        files.statvfs(bad),
        connection.watch(bad, {}),
      ];
      for (const one of all) await expect(one).rejects.toMatchObject({ code: "outside" });
    }
    for (const bad of ["file", "chain"]) {
      await expect(files.read(bad)).rejects.toMatchObject({ code: "outside" });
      await expect(files.writeAll(bad, Buffer.from("x"))).rejects.toMatchObject({
        code: "outside",
      });
      await expect(files.stat(bad, { followLinks: true })).rejects.toMatchObject({
        code: "outside",
      });
      expect(await files.stat(bad)).toMatchObject({ type: "symlink" });
    }
    expect(await files.remove("/up")).toEqual({ entries: 1 });
  });

  test("symlinks that stay inside work, relative and absolute", async () => {
    fs.symlinkSync("dir", at("relative"));
    fs.symlinkSync(guest.root, at("root"));
    fs.symlinkSync(join(guest.root, "dir"), at("absolute"));
    fs.symlinkSync(join(guest.root, "absolute", "inside"), at("file"));
    for (const path of ["relative/inside", "absolute/inside", "root/absolute/inside", "file"]) {
      expect(text((await files.readAll(path, { maxBytes: 99 })).data)).toBe("inside");
    }
    await files.writeAll("file", Buffer.from("through"));
    expect(fs.lstatSync(at("file")).isSymbolicLink()).toBe(true);
    expect(fs.readFileSync(at("dir/inside"), "utf8")).toBe("through");
    await files.writeAll("absolute/new/file", Buffer.from("x"));
    expect(fs.readFileSync(at("dir/new/file"), "utf8")).toBe("x");
    fs.symlinkSync("loop", at("loop"));
    await expect(files.read("loop")).rejects.toMatchObject({ code: "invalid" });
  });

  test("a symlink that is swapped in while we look never leads out", async () => {
    const outside = fs.mkdtempSync(`${guest.root}-outside`);
    fs.writeFileSync(join(outside, "secret"), "secret");
    fs.mkdirSync(at("swap"));
    fs.writeFileSync(at("swap/secret"), "harmless");
    const racer = await connection.start({
      argv: [
        "python3",
        "-c",
        `import os
os.chdir(${JSON.stringify(guest.root)})
os.symlink(${JSON.stringify(outside)}, "link")
os.symlink("../${outside.split("/").at(-1)}", "link2")
while True:
    for l in ("link", "link2"):
        os.rename("swap", "real"); os.rename(l, "swap"); os.rename("swap", l); os.rename("real", "swap")
`,
      ],
      env: { PATH: process.env.PATH ?? "" },
      cwd: "/",
      onFull: "drop",
    });
    try {
      const before = fs.readdirSync(outside).join();
      let done = 0;
      let refused = 0;
      const count = async (operation: Promise<unknown>) => {
        await operation.then(
          () => done++,
          () => refused++,
        );
      };
      for (let i = 0; i < 1500; i++) {
        await Promise.all([
          count(
            files.readAll("swap/secret", { maxBytes: 99 }).then(({ data }) => {
              if (text(data) === "secret") throw new Error("LEAKED");
            }),
          ),
          count(files.writeAll(`swap/w${i % 7}`, Buffer.from("x"), { parents: i % 2 === 0 })),
          count(files.writeAll("swap/append", Buffer.from("x"), { append: true })),
          count(files.mkdir(`swap/d${i}/e`)),
          count(files.rename("dir/inside", "swap/moved")),
          count(files.rename("swap/moved", "dir/inside")),
          count(files.copy("dir/inside", "swap/copy")),
          count(files.chmod("swap/secret", 0o600 + (i % 8))),
          count(files.symlink(`swap/s${i}`, "x")),
          count(files.remove(`swap/d${i}`, { recursive: true })),
          count(files.list("swap")),
        ]);
      }
      expect(done).toBeGreaterThan(1000);
      expect(refused).toBeGreaterThan(1000);
      expect(fs.readdirSync(outside).join()).toBe(before);
      expect(fs.readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
      expect(fs.statSync(join(outside, "secret")).mode & 0o777).toBe(0o644);
    } finally {
      await connection.signal(racer.id, "SIGKILL", "all");
      fs.rmSync(outside, { recursive: true });
    }
  }, 60_000);
});

describe("folders and trees", () => {
  test("mkdir, rename, chmod, symlink, stat", async () => {
    await files.mkdir("/a/b/c", { mode: 0o700 });
    expect(fs.statSync(at("a/b/c")).mode & 0o777).toBe(0o700);
    await files.mkdir("/a/b/c");
    await expect(files.mkdir("/a", { parents: false })).rejects.toMatchObject({ code: "exists" });
    await files.writeAll("/x", Buffer.from("x"));
    await files.writeAll("/y", Buffer.from("y"));
    await expect(files.rename("/x", "/y", { overwrite: false })).rejects.toMatchObject({
      code: "exists",
    });
    await files.rename("/x", "/y");
    expect(fs.readFileSync(at("y"), "utf8")).toBe("x");
    await files.chmod("/y", 0o4711);
    expect((await files.stat("/y")).mode).toBe(0o4711);
    await files.symlink("/l", "y");
    expect(text(await files.readlink("/l"))).toBe("y");
    expect(await files.stat("/l")).toMatchObject({ type: "symlink" });
    expect(await files.stat("/l", { followLinks: true })).toMatchObject({ type: "file" });
    await expect(files.readlink("/y")).rejects.toMatchObject({ code: "invalid" });
    expect(await files.stat("/")).toMatchObject({ type: "dir" });
  });

  test("remove takes a full folder only when told", async () => {
    await files.writeAll("/t/a/b", Buffer.from("x"));
    await expect(files.remove("/t")).rejects.toMatchObject({ code: "not_empty" });
    await files.mkdir("/empty");
    expect(await files.remove("/empty")).toEqual({ entries: 1 });
    fs.symlinkSync("t", at("link"));
    await files.remove("/link", { recursive: true });
    expect(fs.existsSync(at("t/a/b"))).toBe(true);
    fs.mkdirSync(at("t/locked"), { mode: 0o000 });
    expect(await files.remove("/t", { recursive: true })).toEqual({ entries: 4 });
    await expect(files.remove("/t")).rejects.toMatchObject({ code: "not_found" });
  });

  test("a tree deeper than any path can be removed", async () => {
    execFileSync("python3", [
      "-c",
      `import os,sys
os.chdir(sys.argv[1])
for i in range(3000):
    os.mkdir("d"); open("f","w").close(); os.chdir("d")`,
      guest.root,
    ]);
    await files.mkdir("/top");
    await files.rename("/d", "/top/d");
    const { entries } = await files.remove("/top", { recursive: true });
    expect(entries).toBe(6000);
    expect(fs.readdirSync(guest.root)).toEqual(["f"]);
  });

  test("copies files, links and trees with their modes", async () => {
    fs.mkdirSync(at("src/deep"), { recursive: true });
    fs.writeFileSync(at("src/run.sh"), "#!/bin/sh\n", { mode: 0o755 });
    fs.writeFileSync(at("src/deep/data"), randomBytes(3 << 20));
    fs.symlinkSync("../run.sh", at("src/deep/link"));
    fs.chmodSync(at("src/deep"), 0o555);
    await expect(files.copy("/src", "/dst")).rejects.toMatchObject({ code: "is_directory" });
    expect(await files.copy("/src", "/dst", { recursive: true })).toEqual({ entries: 5 });
    execFileSync("diff", ["-r", "--no-dereference", at("src"), at("dst")]);
    expect(fs.statSync(at("dst/run.sh")).mode & 0o777).toBe(0o755);
    expect(fs.statSync(at("dst/deep")).mode & 0o777).toBe(0o555);
    await expect(
      files.copy("/src", "/dst", { recursive: true, overwrite: false }),
    ).rejects.toMatchObject({ code: "exists" });
    await expect(files.copy("/src", "/src/inner", { recursive: true })).rejects.toMatchObject({
      code: "invalid",
    });
    await files.copy("/src/run.sh", "/one");
    await expect(files.copy("/one", "/dst/run.sh", { overwrite: false })).rejects.toMatchObject({
      code: "exists",
    });
    fs.chmodSync(at("src/deep"), 0o755);
    fs.chmodSync(at("dst/deep"), 0o755);
  });

  test("a long copy holds nobody up and can be aborted", async () => {
    execFileSync("truncate", ["-s", "3G", at("sparse")]);
    const abort = new AbortController();
    const copying = files.copy("/sparse", "/copy", { signal: abort.signal });
    expect(await connection.ping()).toBeLessThan(5_000);
    abort.abort();
    await expect(copying).rejects.toMatchObject({ code: "aborted" });
    await connection.ping();
    expect(fs.readdirSync(guest.root)).toEqual(["sparse"]);
  });
});
