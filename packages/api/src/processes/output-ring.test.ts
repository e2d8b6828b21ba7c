import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OutputRing, type OutputStream } from "./output-ring.js";

function readAll(ring: OutputRing, from: number, maxBytes = 7): [OutputStream, number, string][] {
  const pieces: [OutputStream, number, string][] = [];
  for (let at = from; ; ) {
    const piece = ring.read(at, maxBytes);
    if (!piece) return pieces;
    pieces.push([piece.type, piece.offset, piece.data.toString("latin1")]);
    at += piece.data.length;
  }
}

describe("OutputRing", () => {
  it("gives back both streams in their order under one offset", () => {
    const ring = new OutputRing(1024);
    ring.append("stdout", Buffer.from("ab"));
    ring.append("stderr", Buffer.from("c"));
    ring.append("stdout", Buffer.from("d"));
    expect(readAll(ring, 0)).toEqual([
      ["stdout", 0, "ab"],
      ["stderr", 2, "c"],
      ["stdout", 3, "d"],
    ]);
    expect(readAll(ring, 1)[0]).toEqual(["stdout", 1, "b"]);
    expect(ring.read(4, 10)).toBeUndefined();
  });

  it("bounds what alternating single bytes cost", () => {
    const ring = new OutputRing(64 * 100);
    for (let i = 0; i < 10_000; i++) ring.append(i % 2 ? "stdout" : "stderr", Buffer.from("x"));
    expect(ring.end).toBe(10_000);
    expect(ring.end - ring.start).toBe(100);
    expect(ring.roomAfter(ring.start)).toBe(0);
    expect(ring.roomAfter(ring.end)).toBe(64 * 100);
    ring.enlarge(64 * 10);
    ring.append("stdout", Buffer.from("x"));
    expect(ring.end - ring.start).toBe(101);
  });

  it("keeps the newest bytes, whatever was appended", () => {
    const writes = fc.array(
      fc.tuple(
        fc.constantFrom<OutputStream>("stdout", "stderr"),
        fc.uint8Array({ maxLength: 400 }),
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(fc.constantFrom(256, 1000, 40_000), writes, (capacity, all) => {
        const ring = new OutputRing(capacity);
        const bytes: [OutputStream, number][] = [];
        for (const [type, data] of all) {
          const room = ring.roomAfter(ring.start);
          const { start } = ring;
          ring.append(type, Buffer.from(data));
          if (data.length <= room) expect(ring.start).toBe(start);
          for (const byte of data) bytes.push([type, byte]);
        }
        expect(ring.end).toBe(bytes.length);
        expect(ring.end - ring.start).toBeLessThanOrEqual(capacity);
        const read = readAll(ring, ring.start, 33).flatMap(([type, , text]) =>
          [...Buffer.from(text, "latin1")].map((byte) => [type, byte]),
        );
        expect(read).toEqual(bytes.slice(ring.start));
      }),
    );
  });
});
