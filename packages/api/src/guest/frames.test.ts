import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeFrame,
  encodeHeader,
  encodeHello,
  type Frame,
  FrameDecoder,
  HelloScanner,
  MAX_PAYLOAD,
  Receive,
  Send,
  sessionTag,
} from "./frames.js";
import { GuestError } from "./types.js";

const RECEIVED = Object.values(Receive).filter((type) => type !== Receive.helloAck);

const anyFrame = fc.record({
  type: fc.constantFrom(...RECEIVED),
  flags: fc.integer({ min: 0, max: 255 }),
  stream: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});

function bytesOf(frames: Frame[]): Buffer {
  return Buffer.concat(
    frames.flatMap(({ type, flags, stream, payload }) => [
      encodeHeader(type, flags, payload.length, stream),
      payload,
    ]),
  );
}

function cut(bytes: Buffer, at: number[]): Buffer[] {
  const places = [...at.map((place) => place % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  );
  return places.map((end, i) => bytes.subarray(places[i - 1] ?? 0, end));
}

describe("FrameDecoder", () => {
  test("gives the frames back however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 20 }),
        fc.array(fc.nat(), { maxLength: 60 }),
        (frames, places) => {
          const decoded: Frame[] = [];
          const decoder = new FrameDecoder((type, flags, stream, payload) =>
            decoded.push({ type, flags, stream, payload }),
          );
          for (const chunk of cut(bytesOf(frames), places)) decoder.push(chunk);
          expect(decoded).toEqual(frames);
        },
      ),
    );
  });

  test("takes the largest frame one byte at a time", () => {
    const frame = {
      type: Receive.data,
      flags: 1,
      stream: 7,
      payload: randomBytes(MAX_PAYLOAD),
    };
    const decoded: Frame[] = [];
    const decoder = new FrameDecoder((type, flags, stream, payload) =>
      decoded.push({ type, flags, stream, payload }),
    );
    for (const byte of bytesOf([frame, frame])) decoder.push(Buffer.from([byte]));
    expect(decoded).toEqual([frame, frame]);
  });

  test("any bytes are decoded or refused, never kept beyond a frame", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 40 }), (chunks) => {
        let total = 0;
        const decoder = new FrameDecoder((_type, _flags, _stream, payload) => {
          total += payload.length;
        });
        try {
          for (const chunk of chunks) decoder.push(Buffer.from(chunk));
        } catch (error) {
          expect(error).toBeInstanceOf(GuestError);
          expect(error).toMatchObject({ code: "protocol" });
        }
        expect(total).toBeLessThanOrEqual(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
      }),
    );
  });

  test("refuses lengths and types that don't exist", () => {
    const decoder = () => new FrameDecoder(() => {});
    expect(() => decoder().push(encodeHeader(Receive.data, 0, MAX_PAYLOAD + 1, 1))).toThrow(
      "length",
    );
    expect(() => decoder().push(encodeHeader(Send.request, 0, 1, 1))).toThrow("type 2");
    expect(() => decoder().push(encodeHeader(Receive.helloAck, 0, 1, 1))).toThrow("type 129");
    expect(() => decoder().push(encodeHeader(0x89, 0, 1, 1))).toThrow("type 137");
    expect(() => decoder().push(Buffer.alloc(8))).toThrow("type 0");
  });
});

describe("HelloScanner", () => {
  const nonce = randomBytes(16);
  const ack = Buffer.alloc(64);
  nonce.copy(ack, 0);
  ack.write("CLAWDGST", 16);
  ack.writeUInt16LE(1, 24);
  ack.writeUInt16LE(3, 26);
  ack.fill(0xab, 32, 48);
  const answer = Buffer.concat([encodeHeader(Receive.helloAck, 0, 64, 0), ack]);

  test("finds the answer behind anything, however the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 500 }),
        fc.uint8Array({ maxLength: 50 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (before, after, places) => {
          const scanner = new HelloScanner(nonce, 10_000);
          const bytes = Buffer.concat([before, answer, after]);
          const rest: Buffer[] = [];
          let found = false;
          for (const chunk of cut(bytes, places)) {
            if (found) {
              rest.push(chunk);
              continue;
            }
            const result = scanner.push(chunk);
            if (!result) continue;
            found = true;
            expect(result.ack).toEqual({
              major: 1,
              minor: 3,
              capabilities: 0,
              bootId: "ab".repeat(16),
            });
            rest.push(result.rest);
          }
          expect(found).toBe(true);
          expect(Buffer.concat(rest)).toEqual(Buffer.from(after));
        },
      ),
    );
  });

  test("another nonce's answer is none; it gives up in bounds", () => {
    const scanner = new HelloScanner(randomBytes(16), 1_000);
    expect(scanner.push(answer)).toBeUndefined();
    expect(() => {
      for (let i = 0; i < 100; i++) scanner.push(answer);
    }).toThrow("too much");
  });
});

test("a frame is header, payload and the session's tag", () => {
  const tag = sessionTag(Buffer.from([1, 0, 2, 3, 4]));
  expect(tag).toEqual(Buffer.from([1, 0xa5, 2, 3]));
  expect(encodeFrame(Send.data, 2, 0x01020304, Buffer.from("hey"), tag)).toEqual(
    Buffer.from([3, 2, 3, 0, 4, 3, 2, 1, 0x68, 0x65, 0x79, 1, 0xa5, 2, 3]),
  );
});

test("hello begins with more zeros than a half frame can swallow", () => {
  const hello = encodeHello(randomBytes(16), 700);
  const pad = hello.findIndex((byte) => byte !== 0);
  expect(pad).toBeGreaterThan(MAX_PAYLOAD + 12);
  expect(hello.subarray(pad, pad + 4)).toEqual(Buffer.from([1, 0, 48, 0]));
});
