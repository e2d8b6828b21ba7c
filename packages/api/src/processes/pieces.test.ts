import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Pieces } from "./pieces.js";

/** Feeds bytes cut at these places; returns what came out. */
function feed(encoding: "utf8" | "base64", bytes: Buffer, cuts: number[]) {
  const pieces = new Pieces(encoding);
  const out: { offset: number; data: string }[] = [];
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])];
  places.sort((a, b) => a - b);
  for (let at = 1; at < places.length; at++) {
    const piece = pieces.add(places[at - 1] ?? 0, bytes.subarray(places[at - 1], places[at]));
    if (piece) out.push(piece);
  }
  const last = pieces.end();
  if (last) out.push(last);
  return out;
}

describe("Pieces", () => {
  test("text comes out whole and never split, each piece at its own offset", () => {
    const text = fc.string({ unit: "binary" }).map((each) => Buffer.from(each, "utf8"));
    fc.assert(
      fc.property(text, fc.array(fc.nat()), (bytes, cuts) => {
        const out = feed("utf8", bytes, cuts);
        expect(out.map(({ data }) => data).join("")).toBe(bytes.toString("utf8"));
        let end = 0;
        for (const { offset, data } of out) {
          expect(offset).toBe(end);
          end += Buffer.byteLength(data);
        }
      }),
    );
  });

  test("bytes come out as base64, each piece by itself", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(fc.nat()), (array, cuts) => {
        const out = feed("base64", Buffer.from(array), cuts);
        let end = 0;
        for (const { offset, data } of out) {
          expect(offset).toBe(end);
          end += Buffer.from(data, "base64").length;
        }
        expect(Buffer.concat(out.map(({ data }) => Buffer.from(data, "base64")))).toEqual(
          Buffer.from(array),
        );
      }),
    );
  });

  test("bytes that are no text become replacement characters, as many as at once", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(fc.nat()), (array, cuts) => {
        const bytes = Buffer.from(array);
        const out = feed("utf8", bytes, cuts).map(({ data }) => data);
        expect(out.join("")).toBe(bytes.toString("utf8"));
      }),
      { numRuns: 1000 },
    );
  });
});
