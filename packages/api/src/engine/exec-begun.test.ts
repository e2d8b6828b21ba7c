import { expect, test } from "vitest";
import { type ExecState, untilBegun } from "./exec-begun.js";

const queued: ExecState = { Pid: 0, Running: false, ExitCode: null };
const settingUp: ExecState = { Pid: 0, Running: true, ExitCode: null };

/** How often the engine is asked until these answers, one after another, are enough. */
async function asked(answers: ExecState[], patienceMs?: number): Promise<number> {
  let count = 0;
  await untilBegun(async () => answers[count++] ?? queued, patienceMs);
  return count;
}

test("an exec has begun when it has a process, or has failed", async () => {
  expect(await asked([{ Pid: 7, Running: true, ExitCode: null }])).toBe(1);
  expect(await asked([{ Pid: 0, Running: false, ExitCode: 126 }])).toBe(1);
  expect(await asked([{ Pid: 7, Running: false, ExitCode: 0 }])).toBe(1);
});

test("not while the engine sets it up, nor before it has come to it", async () => {
  const running = { Pid: 7, Running: true, ExitCode: null };
  expect(await asked([queued, queued, settingUp, running])).toBe(4);
});

test("one that the engine has dropped is not waited for without end", async () => {
  expect(await asked([], 20)).toBeGreaterThan(1);
});

test("what the engine refuses to say is told", async () => {
  await expect(untilBegun(() => Promise.reject(new Error("gone")))).rejects.toThrow("gone");
});
