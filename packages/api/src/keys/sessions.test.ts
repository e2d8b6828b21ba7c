import { afterEach, expect, it, vi } from "vitest";
import { Sessions } from "./sessions.js";

afterEach(() => {
  vi.useRealTimers();
});

it("knows the key behind its own token", () => {
  const sessions = new Sessions();
  expect(sessions.verify(sessions.create("k1").token)).toBe("k1");
});

it("refuses what it has not signed", () => {
  const sessions = new Sessions();
  const { token } = sessions.create("k1");
  const claim = Buffer.from(JSON.stringify({ keyId: "owner", expiresAt: Date.now() + 1e9 }));
  for (const forged of [
    "",
    ".",
    "a.b",
    token.slice(0, -1),
    `${claim.toString("base64url")}.${token.split(".")[1]}`,
    new Sessions().create("k1").token,
  ]) {
    expect(sessions.verify(forged)).toBeUndefined();
  }
});

it("ends a session when its time is over", () => {
  vi.useFakeTimers();
  const sessions = new Sessions();
  const { token, maxAgeSeconds } = sessions.create("k1");
  vi.advanceTimersByTime(maxAgeSeconds * 1000 - 1);
  expect(sessions.verify(token)).toBe("k1");
  vi.advanceTimersByTime(2);
  expect(sessions.verify(token)).toBeUndefined();
});
