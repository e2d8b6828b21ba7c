import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { endWhenIdle } from "./end-when-idle.js";

async function gather<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

it("ends with the silence after a value, and ends what it reads", async () => {
  const stop = new AbortController();
  async function* stream() {
    yield 1;
    yield 2;
    await new Promise((_, reject) => stop.signal.addEventListener("abort", reject));
    yield 3;
  }
  expect(await gather(endWhenIdle(stream(), 20, () => stop.abort()))).toEqual([1, 2]);
});

it("waits for the first value as long as that takes, and ends with the stream", async () => {
  async function* stream() {
    await delay(50);
    yield 1;
  }
  expect(await gather(endWhenIdle(stream(), 5, () => {}))).toEqual([1]);
});

it("hands a failure on", async () => {
  // biome-ignore lint/correctness/useYield: a stream that fails before its first value
  async function* stream(): AsyncGenerator<number> {
    throw new Error("broken");
  }
  await expect(gather(endWhenIdle(stream(), 5, () => {}))).rejects.toThrow("broken");
});
