import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { Sessions } from "./sessions.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sessions-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});
const made = (name = "secret", ownerKey = "owner") => new Sessions(join(folder, name), ownerKey);

afterEach(() => {
  vi.useRealTimers();
});

it("knows the key behind its own token, also after a restart", async () => {
  const sessions = made();
  const { token } = await sessions.create("k1");
  expect(await sessions.verify(token)).toBe("k1");
  expect(await made().verify(token)).toBe("k1");
});

it("refuses what it has not signed", async () => {
  const sessions = made();
  const { token } = await sessions.create("k1");
  const claim = Buffer.from(JSON.stringify({ keyId: "owner", expiresAt: Date.now() + 1e9 }));
  for (const forged of [
    "",
    ".",
    "a.b",
    token.slice(0, -1),
    `${claim.toString("base64url")}.${token.split(".")[1]}`,
    (await made("other").create("k1")).token,
    (await made("secret", "another owner").create("k1")).token,
  ]) {
    expect(await sessions.verify(forged)).toBeUndefined();
  }
});

it("ends a session when its time is over", async () => {
  vi.useFakeTimers();
  const sessions = made();
  const { token, maxAgeSeconds } = await sessions.create("k1");
  vi.advanceTimersByTime(maxAgeSeconds * 1000 - 1);
  expect(await sessions.verify(token)).toBe("k1");
  vi.advanceTimersByTime(2);
  expect(await sessions.verify(token)).toBeUndefined();
});
