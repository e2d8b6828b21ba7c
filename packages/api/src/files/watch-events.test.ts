import { describe, expect, it } from "vitest";
import type { GuestWatchEvent } from "../guest/types.js";
import { WatchRound } from "./watch-events.js";

const event = (type: "created" | "modified" | "removed", path: string): GuestWatchEvent => ({
  type,
  path: Buffer.from(path),
  dir: false,
});
const renamed = (from: string, path: string): GuestWatchEvent => ({
  type: "renamed",
  from: Buffer.from(from),
  path: Buffer.from(path),
  dir: false,
});
const told = (...events: GuestWatchEvent[]) => {
  const round = new WatchRound();
  for (const each of events) round.add(each);
  return round.take().map((each) => ("path" in each ? `${each.type} ${each.path}` : each.type));
};

describe("WatchRound", () => {
  it("tells many writes as one", () => {
    expect(told(event("modified", "a"), event("modified", "a"), event("modified", "b"))).toEqual([
      "modified /a",
      "modified /b",
    ]);
    expect(told(event("created", "a"), event("modified", "a"))).toEqual(["created /a"]);
  });

  it("does not tell of what came and went", () => {
    expect(told(event("created", "a"), event("modified", "a"), event("removed", "a"))).toEqual([]);
    expect(told(event("modified", "a"), event("removed", "a"))).toEqual(["removed /a"]);
  });

  it("keeps what is behind a removal or a rename", () => {
    expect(told(event("removed", "a"), event("created", "a"))).toEqual([
      "removed /a",
      "created /a",
    ]);
    expect(told(event("created", "a"), renamed("a", "b"), event("created", "a"))).toEqual([
      "created /a",
      "renamed /b",
      "created /a",
    ]);
    expect(told(renamed("a", "b"), event("modified", "b"))).toEqual(["renamed /b", "modified /b"]);
  });

  it("says only that there was too much, where there was", () => {
    const many = Array.from({ length: 5000 }, (_, at) => event("created", `f${at}`));
    expect(told(...many)).toEqual(["overflow"]);
    expect(told(event("created", "a"), { type: "overflow" }, event("created", "b"))).toEqual([
      "overflow",
    ]);
  });

  it("is empty once it was taken, and tells names that are not UTF-8", () => {
    const round = new WatchRound();
    round.add({ type: "created", path: Buffer.of(0xff), dir: true });
    expect(round.take()).toEqual([
      { type: "created", path: "/\ufffd", pathBase64: "L/8=", dir: true },
    ]);
    expect(round.isEmpty).toBe(true);
    expect(round.take()).toEqual([]);
  });
});
