import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../guest/types.js";
import type { IncomingEntry } from "./incoming.js";
import { packTar } from "./pack-tar.js";
import { packZip, zipName } from "./pack-zip.js";
import type { TreeEntry } from "./space-files.js";
import { unpackTar } from "./unpack-tar.js";
import { unpackZip } from "./unpack-zip.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "archives-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const facts = (type: TreeEntry["facts"]["type"], size = 0, mode = 0o644) => ({
  type,
  size,
  mode,
  mtimeMs: Date.UTC(2026, 10, 22),
});
const file = (path: Buffer | string, content: Buffer, mode = 0o644): TreeEntry => ({
  path: Buffer.from(path),
  facts: facts("file", content.length, mode),
  open: async () => ({
    size: content.length,
    stream: Readable.from([content], { objectMode: false }),
  }),
});
const nothing = () => Promise.reject(new Error("not a file"));
const dir = (path: string): TreeEntry => ({
  path: Buffer.from(path),
  facts: facts("dir", 0, 0o755),
  open: nothing,
});
const link = (path: string, target: Buffer | string): TreeEntry => ({
  path: Buffer.from(path),
  facts: facts("symlink"),
  target: Buffer.from(target),
  open: nothing,
});
async function* tree(...entries: TreeEntry[]) {
  yield* entries;
}

/** What comes out again, as text that can be compared. */
async function taken(entries: AsyncIterable<IncomingEntry>): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of entries) {
    const name = entry.name.toString("latin1").replace(/\/$/, "");
    if (entry.type === "file") {
      const content = await buffer(await entry.content());
      found.push(`${name} file ${entry.mode?.toString(8)} ${content.toString("latin1")}`);
    } else if (entry.type === "symlink") {
      found.push(`${name} -> ${entry.target.toString("latin1")}`);
    } else {
      found.push(`${name} ${entry.type}`);
    }
  }
  return found;
}

const odd = Buffer.from([0x61, 0xff, 0xfe, 0x62]);
const long = "n".repeat(250);
const everything = () =>
  tree(
    dir("d"),
    file("d/a.sh", Buffer.from("echo"), 0o755),
    file("d/é日本", Buffer.from("x")),
    file(`d/${long}`, Buffer.from("y")),
    file("empty", Buffer.alloc(0)),
    file("new\nline '\"$", Buffer.from("z")),
    link("l", "d/a.sh"),
    link("out", "../../etc"),
  );
const expected = [
  "d dir",
  "d/a.sh file 755 echo",
  `d/${Buffer.from("é日本").toString("latin1")} file 644 x`,
  `d/${long} file 644 y`,
  "empty file 644 ",
  "new\nline '\"$ file 644 z",
  "l -> d/a.sh",
  "out -> ../../etc",
];

describe("tar", () => {
  it("comes back as it went", async () => {
    const archive = packTar(everything(), () => {});
    expect(await taken(unpackTar(archive))).toEqual(expected);
  });

  it("keeps names and targets that are not UTF-8, for tar(1) too", async () => {
    const longOdd = Buffer.concat([Buffer.alloc(200, "q"), odd]);
    const pack = () =>
      packTar(
        tree(file(odd, Buffer.from("1")), file(longOdd, Buffer.from("2")), link("l", odd)),
        () => {},
      );
    expect(await taken(unpackTar(pack()))).toEqual([
      `${odd.toString("latin1")} file 644 1`,
      `${longOdd.toString("latin1")} file 644 2`,
      `l -> ${odd.toString("latin1")}`,
    ]);
    execFileSync("tar", ["-xf", "-", "-C", folder], { input: await buffer(pack()) });
    const names = (await readdir(folder, { encoding: "buffer" })).map((name) =>
      name.toString("latin1"),
    );
    expect(names.sort()).toEqual(
      [odd, longOdd, Buffer.from("l")].map((each) => each.toString("latin1")).sort(),
    );
  });

  it("takes what tar(1) makes in each of its formats", async () => {
    execFileSync("tar", ["-xf", "-", "-C", folder], {
      input: await buffer(packTar(everything(), () => {})),
    });
    for (const format of ["gnu", "pax"]) {
      const archive = execFileSync("tar", [
        `--format=${format}`,
        "-cf",
        "-",
        "-C",
        folder,
        "d",
        "l",
        "empty",
      ]);
      const names = (await taken(unpackTar(Readable.from([archive])))).sort();
      expect(names).toEqual(expected.filter((each) => /^(d|l|empty)\b/.test(each)).sort());
    }
  });

  it("leaves out what can't be read, and counts it", async () => {
    let leftOut = 0;
    const gone = {
      ...file("gone", Buffer.from("1")),
      open: () => Promise.reject(new GuestError("not_found", "")),
    };
    const secret = {
      ...file("secret", Buffer.from("1")),
      open: () => Promise.reject(new GuestError("permission", "")),
    };
    const archive = packTar(tree(gone, secret, file("a", Buffer.from("2"))), () => leftOut++);
    expect(await taken(unpackTar(archive))).toEqual(["a file 644 2"]);
    expect(leftOut).toBe(2);
  });

  it("breaks off rather than end as if complete, where a file shrinks", async () => {
    const shrunk: TreeEntry = {
      ...file("a", Buffer.from("1")),
      open: async () => ({
        size: 10,
        stream: Readable.from([Buffer.from("1")], { objectMode: false }),
      }),
    };
    await expect(buffer(packTar(tree(shrunk), () => {}))).rejects.toThrow("shorter");
  });

  it("refuses what is damaged or breaks off", async () => {
    const whole = await buffer(packTar(tree(file("a", randomBytes(10_000))), () => {}));
    await expect(taken(unpackTar(Readable.from([whole.subarray(0, 5000)])))).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(taken(unpackTar(Readable.from([randomBytes(2048)])))).rejects.toMatchObject({
      code: "invalid_request",
    });
  });

  it("leaves a source alone that it does not read to its end", async () => {
    const whole = await buffer(
      packTar(tree(file("a", randomBytes(300_000)), file("b", randomBytes(10))), () => {}),
    );
    const source = Readable.from([whole.subarray(0, 1024), whole.subarray(1024)], {
      objectMode: false,
    });
    for await (const entry of unpackTar(source)) {
      expect(entry.name.toString()).toBe("a");
      break;
    }
    expect(source.destroyed).toBe(false);
  });
});

describe("zip", () => {
  it("comes back as it went", async () => {
    const archive = await buffer(packZip(everything(), () => {}));
    expect(await taken(unpackZip(Readable.from([archive], { objectMode: false }), folder))).toEqual(
      expected,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    [odd, "a%FF%FEb"],
    [Buffer.from("a\\b"), "a%5Cb"],
    [Buffer.from("c:d"), "c%3Ad"],
    [Buffer.from("é"), "é"],
  ])("names %s as any program takes it", (path, name) => {
    expect(zipName(path)).toBe(name);
  });

  it("refuses a content that is not what was packed", async () => {
    const content = randomBytes(5000);
    const archive = await buffer(packZip(tree(file("a", content)), () => {}));
    const at = archive.indexOf(content.subarray(100, 140));
    archive[at + 3] = (archive[at + 3] ?? 0) ^ 1;
    const entries = unpackZip(Readable.from([archive], { objectMode: false }), folder);
    await expect(taken(entries)).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("refuses what is none", async () => {
    const entries = unpackZip(Readable.from([randomBytes(4096)], { objectMode: false }), folder);
    await expect(taken(entries)).rejects.toMatchObject({ code: "invalid_request" });
  });
});
