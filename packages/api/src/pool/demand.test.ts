import { describe, expect, it } from "vitest";
import { Demand, roomFor } from "./demand.js";

const MINUTE = 60_000;
const GIB = 1024 ** 3;
const counts = (targets: Map<string, { count: number }>) =>
  Object.fromEntries([...targets].map(([shape, { count }]) => [shape, count]));
const home = { shape: "home", what: "home" };

describe("Demand", () => {
  it("keeps one of the home shape, and more as more are asked for", () => {
    const demand = new Demand<string>();
    expect(counts(demand.targets(4, home, 0))).toEqual({ home: 1 });
    for (let i = 0; i < 3; i++) demand.ask("home", "home", 0);
    expect(counts(demand.targets(4, home, 0))).toEqual({ home: 3 });
    for (let i = 0; i < 9; i++) demand.ask("home", "home", 0);
    expect(counts(demand.targets(4, home, 0))).toEqual({ home: 4 });
  });

  it("divides what there may be in proportion, and never exceeds it", () => {
    const demand = new Demand<string>();
    for (let i = 0; i < 8; i++) demand.ask("a", "a", 0);
    for (let i = 0; i < 4; i++) demand.ask("b", "b", 0);
    expect(counts(demand.targets(6, undefined, 0))).toEqual({ a: 4, b: 2 });
    expect(counts(demand.targets(2, undefined, 0))).toEqual({ a: 2 });
    expect(counts(demand.targets(0, home, 0))).toEqual({});
  });

  it("forgets what nobody asks for any more", () => {
    const demand = new Demand<string>();
    for (let i = 0; i < 8; i++) demand.ask("a", "a", 0);
    expect(counts(demand.targets(8, home, 10 * MINUTE))).toEqual({ a: 2, home: 1 });
    expect(counts(demand.targets(8, home, 60 * MINUTE))).toEqual({ home: 1 });
  });
});

describe("roomFor", () => {
  it("lets none wait where memory is short, and as many as may where it isn't", () => {
    expect(roomFor(8, 0, 10 * GIB, 16 * GIB)).toBe(8);
    expect(roomFor(8, 4, 1 * GIB, 16 * GIB)).toBe(0);
    expect(roomFor(8, 3, 1.6 * GIB + 64 * 1024 ** 2, 16 * GIB)).toBe(4);
    expect(roomFor(8, 0, 0, 1 * GIB)).toBe(0);
  });
});
