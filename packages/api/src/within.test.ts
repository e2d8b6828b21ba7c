import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { within } from "./within.js";

it("comes in time, whatever is collected meanwhile", async () => {
  setFlagsFromString("--expose-gc");
  const collect = setInterval(runInNewContext("gc"), 10);
  const other = new AbortController();
  const signals = Array.from({ length: 20 }, () => within(200, other.signal));
  await Promise.all(signals.map((signal) => once(signal, "abort")));
  clearInterval(collect);
  expect(signals.map(({ reason }) => reason.name)).toEqual(signals.map(() => "TimeoutError"));
});

it("is aborted with what it follows", () => {
  const other = new AbortController();
  const signal = within(60_000, other.signal);
  other.abort(new Error("enough"));
  expect(signal.reason).toEqual(new Error("enough"));
});
