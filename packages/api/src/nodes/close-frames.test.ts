import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { expect, it } from "vitest";
import { CloseFrames } from "./close-frames.js";

const frame = (opcode: number, bytes: number) => {
  const head =
    bytes < 126
      ? [0x80 | opcode, bytes]
      : bytes < 65536
        ? [0x80 | opcode, 126, bytes >> 8, bytes & 255]
        : [0x80 | opcode, 127, 0, 0, 0, 0, 0, bytes >> 16, (bytes >> 8) & 255, bytes & 255];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(bytes, 0x88)]);
};

async function closed(stream: Buffer, step: number): Promise<string> {
  const frames = new CloseFrames();
  for (let at = 0; at < stream.length; at += step) frames.take(stream.subarray(at, at + step));
  const socket = new PassThrough();
  frames.close(socket, "gone");
  socket.end();
  return (await buffer(socket)).toString("latin1");
}

const whole = Buffer.concat([frame(2, 0), frame(1, 125), frame(2, 126), frame(2, 70_000)]);

it.each([1, 7, 1000, 100_000])(
  "closes with a reason between two frames, in steps of %i",
  async (step) => {
    expect(await closed(whole, step)).toBe("\x88\x06\x03\xf6gone");
  },
);

it("says nothing in the middle of a frame, of its head, or after the server's own close", async () => {
  expect(await closed(whole.subarray(0, -1), 1000)).toBe("");
  expect(await closed(Buffer.concat([whole, Buffer.from([0x82])]), 1000)).toBe("");
  expect(await closed(Buffer.concat([whole, frame(8, 2)]), 1000)).toBe("");
});
