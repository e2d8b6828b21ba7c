import { randomBytes } from "node:crypto";
import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { GuestError, type GuestFileWriter, type GuestStat } from "../guest/types.js";
import { exactly, gathered, pour } from "./streams.js";

const STAT = { type: "file", size: 0 } as GuestStat;

/** A writer that keeps what it is given, at its own pace, and can be made to fail. */
function writer(failAt = Number.POSITIVE_INFINITY) {
  const pieces: Buffer[] = [];
  let settle: { resolve: (stat: GuestStat) => void; reject: (error: Error) => void } | undefined;
  const result = new Promise<GuestStat>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const stream = new Writable({
    highWaterMark: 16,
    write(piece: Buffer, _encoding, callback) {
      pieces.push(piece);
      const full = Buffer.concat(pieces).length > failAt;
      setImmediate(() => callback(full ? new GuestError("no_space", "full") : null));
    },
    final(callback) {
      settle?.resolve(STAT);
      callback();
    },
    destroy(error, callback) {
      settle?.reject(error ?? new GuestError("aborted", "given up"));
      callback(error);
    },
  });
  stream.on("error", () => {});
  const target: GuestFileWriter = { stream, result };
  return { target, bytes: () => Buffer.concat(pieces).toString() };
}

describe("pour", () => {
  it("writes everything, at the file's pace", async () => {
    const { target, bytes } = writer();
    const source = Readable.from(
      Array.from({ length: 50 }, (_, at) => Buffer.from(`piece ${at};`)),
    );
    expect(await pour(source, target)).toBe(STAT);
    expect(bytes()).toMatch(/^piece 0;.*piece 49;$/);
  });

  it("gives the file up where the source breaks off, and throws what the source threw", async () => {
    const { target } = writer();
    const source = new PassThrough();
    source.write("half");
    setImmediate(() => source.destroy(new Error("the client is gone")));
    await expect(pour(source, target)).rejects.toThrow("the client is gone");
    await expect(target.result).rejects.toThrow();
  });

  it("throws what the file says, and leaves the source to be answered", async () => {
    const { target } = writer(100);
    const source = new PassThrough();
    const feeding = setInterval(() => source.write("x".repeat(50)), 1);
    await expect(pour(source, target)).rejects.toMatchObject({ code: "no_space" });
    clearInterval(feeding);
    expect(source.destroyed).toBe(false);
  });
});

describe("exactly", () => {
  const from = (...pieces: string[]) =>
    Readable.from(
      pieces.map((piece) => Buffer.from(piece)),
      { objectMode: false },
    );

  it("passes on what is as long as it should be, and cuts what is longer", async () => {
    expect((await buffer(exactly(from("ab", "cd"), 4))).toString()).toBe("abcd");
    expect((await buffer(exactly(from("ab", "cd"), 3))).toString()).toBe("abc");
    expect((await buffer(exactly(from(), 0))).toString()).toBe("");
  });

  it("fails where there is less", async () => {
    await expect(buffer(exactly(from("ab"), 3))).rejects.toThrow("shorter");
  });
});

describe("gathered", () => {
  it("joins small pieces, passes large ones on, and loses no byte of either", async () => {
    const sizes = [1, 0, 512, 70_000, 3, 65_536, 30_000, 30_000, 30_000, 200_000, 7];
    const pieces = sizes.map((size) => randomBytes(size));
    const got: Uint8Array[] = [];
    for await (const piece of gathered(Readable.from(pieces))) got.push(piece);
    expect(Buffer.concat(got).equals(Buffer.concat(pieces))).toBe(true);
    expect(got.map(({ length }) => length)).toEqual([
      513, 70_000, 3, 65_536, 60_000, 30_000, 200_000, 7,
    ]);
  });
});
