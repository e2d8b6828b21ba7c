import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ContainerState } from "../engine/engine.js";
import { SpaceEntry } from "../spaces/space-entry.js";
import { resolveSpec } from "../spaces/space-spec.js";
import { awakeTimeout, untilAwake } from "./awake.js";

const entryIn = (state: ContainerState) =>
  new SpaceEntry(
    "dev",
    "0".repeat(64),
    resolveSpec({ name: "dev" }, undefined, { image: "i", gpuImage: "g" }),
    new Date(),
    state,
  );

beforeEach(
  () => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] }),
);
afterEach(() => void vi.useRealTimers());

describe("awakeTimeout", () => {
  it("stands still while the space is paused", () => {
    const entry = entryIn("running");
    const onExpired = vi.fn();
    awakeTimeout(entry, 1000, onExpired);
    vi.advanceTimersByTime(600);
    entry.setState("paused");
    vi.advanceTimersByTime(3_600_000);
    expect(onExpired).not.toHaveBeenCalled();
    entry.setState("running");
    vi.advanceTimersByTime(399);
    expect(onExpired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onExpired).toHaveBeenCalledOnce();
    entry.setState("paused");
    entry.setState("running");
    vi.advanceTimersByTime(5000);
    expect(onExpired).toHaveBeenCalledOnce();
  });

  it("says nothing once it is stopped", () => {
    const entry = entryIn("running");
    const onExpired = vi.fn();
    const stop = awakeTimeout(entry, 10, onExpired);
    stop();
    vi.advanceTimersByTime(100);
    entry.setState("paused");
    entry.setState("running");
    vi.advanceTimersByTime(100);
    expect(onExpired).not.toHaveBeenCalled();
  });
});

describe("untilAwake", () => {
  it("waits for the next wake, or for the end", async () => {
    expect(await untilAwake(entryIn("running"))).toBe(true);
    expect(await untilAwake(entryIn("stopped"))).toBe(false);
    const woken = entryIn("paused");
    const waiting = untilAwake(woken);
    woken.setState("running");
    expect(await waiting).toBe(true);
    const ended = entryIn("paused");
    const left = untilAwake(ended);
    ended.setState("stopped");
    expect(await left).toBe(false);
  });
});
