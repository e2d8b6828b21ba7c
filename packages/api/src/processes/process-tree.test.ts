import { describe, expect, it } from "vitest";
import { daemonVariable, encodeMeta } from "./process-meta.js";
import { leaderOf, type ProcessRow, parseEnviron, parseStat, treeOf } from "./process-tree.js";

const ID = "0123456789abcdef0123456789abcdef";
const OTHER = "f".repeat(32);

const row = (pid: number, parent: number, more: Partial<ProcessRow> = {}): ProcessRow => ({
  pid,
  parent,
  group: pid,
  session: pid,
  state: "S",
  startTicks: pid,
  marker: undefined,
  orphan: false,
  ...more,
});

describe("treeOf", () => {
  const rows = [
    row(1, 0),
    row(10, 0, { marker: ID }),
    row(11, 10, { session: 10, group: 10, marker: ID }),
    // Called setsid and was left by its parent.
    row(12, 1, { marker: ID }),
    // Cleared its environment, but stayed in the session; and a child of it.
    row(13, 1, { session: 10 }),
    row(14, 13),
    // A zombie, another process's, and one that has nothing to do with either.
    row(15, 10, { state: "Z", marker: ID }),
    row(20, 0, { marker: OTHER }),
    row(30, 0),
  ];

  it("finds what carries the marker, shares the session, or descends from such a process", () => {
    expect(treeOf(ID, 10, rows).map(({ pid }) => pid)).toEqual([10, 11, 12, 13, 14]);
    expect(treeOf(OTHER, undefined, rows).map(({ pid }) => pid)).toEqual([20]);
    expect(treeOf("a".repeat(32), undefined, rows)).toEqual([]);
  });

  it("leaves out a process of another mark in a session whose number was given anew", () => {
    const reused = [row(12, 1, { marker: ID }), row(13, 1, { session: 12, marker: OTHER })];
    expect(treeOf(ID, undefined, reused).map(({ pid }) => pid)).toEqual([12]);
  });

  it("takes the first of the marked session leaders for the process itself", () => {
    expect(leaderOf(ID, rows)?.pid).toBe(10);
    expect(leaderOf("a".repeat(32), rows)).toBeUndefined();
  });
});

describe("parseStat", () => {
  it("reads past any name", () => {
    const text = `42 (a) R (b) S 7 8 9 ${Array.from({ length: 15 }, () => 0).join(" ")} 12345 1 2`;
    expect(parseStat(text)).toEqual({
      state: "S",
      parent: 7,
      group: 8,
      session: 9,
      startTicks: 12345,
    });
    expect(parseStat("")).toBeUndefined();
    expect(parseStat("1 (x)")).toBeUndefined();
  });
});

describe("parseEnviron", () => {
  const markerOf = (text: string) => parseEnviron(Buffer.from(text)).marker;

  it("takes a whole variable of 32 hex digits and nothing else", () => {
    expect(markerOf(`A=b\0CLAWDSPACE_PROCESS_ID=${ID}\0C=d\0`)).toBe(ID);
    expect(markerOf(`X=CLAWDSPACE_PROCESS_ID=${ID}\0`)).toBeUndefined();
    expect(markerOf(`CLAWDSPACE_PROCESS_ID=${ID}0\0`)).toBeUndefined();
    expect(parseEnviron(undefined)).toEqual({ marker: undefined, orphan: false });
  });

  it("knows whose daemon is gone", () => {
    const own = daemonVariable(
      encodeMeta({ kind: "exec", command: "x", cwd: "/", user: "sandbox" }),
    );
    const environ = (value: string | undefined) => Buffer.from(`CLAWDSPACE_DAEMON=${value}\0`);
    expect(parseEnviron(environ(own.CLAWDSPACE_DAEMON)).orphan).toBe(false);
    expect(parseEnviron(environ("earlier")).orphan).toBe(true);
  });
});
