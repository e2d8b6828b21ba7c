import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PreviewTokens } from "./preview-token.js";

const CONTAINER = "0123456789abcdef";
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

describe("tokens of previews", () => {
  let folder: string;
  let tokens: PreviewTokens;
  const file = () => join(folder, "data", "preview-secret");

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "clawdspace-token-"));
    tokens = new PreviewTokens(file());
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("permit what they were signed for, also after a restart of the daemon", async () => {
    const claims = { containerId: CONTAINER, port: 8000, expires: inAnHour(), keepPrefix: true };
    const token = await tokens.sign("path", claims);
    expect(token).toMatch(/^[\w-]+$/);
    expect(await new PreviewTokens(file()).verify("path", token, CONTAINER)).toEqual(claims);
  });

  it("permit nothing else", async () => {
    const claims = { containerId: CONTAINER, port: 8000, expires: inAnHour(), keepPrefix: false };
    const token = await tokens.sign("host", claims);
    expect(await tokens.verify("path", token, CONTAINER)).toBeUndefined();
    expect(await tokens.verify("visit", token, CONTAINER)).toBeUndefined();
    expect(await tokens.verify("host", token, "another")).toBeUndefined();
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === "1" ? "2" : "1";
      const changed = token.slice(0, at) + other + token.slice(at + 1);
      expect(await tokens.verify("host", changed, CONTAINER), changed).toBeUndefined();
    }
    for (const bad of ["", "-", `${token}x`, ` ${token}`, token.slice(1), token.toUpperCase()]) {
      expect(await tokens.verify("host", bad, CONTAINER), bad).toBeUndefined();
    }
    const ended = await tokens.sign("host", { ...claims, expires: inAnHour() - 3601 });
    expect(await tokens.verify("host", ended, CONTAINER)).toBeUndefined();
  });

  it("have a secret that only the daemon's user reads, and end with it", async () => {
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    const secret = await readFile(file(), "utf8");
    expect(secret).toMatch(/^[0-9a-f]{64}$/);
    const claims = { containerId: CONTAINER, port: 1, expires: inAnHour(), keepPrefix: false };
    const token = await tokens.sign("path", claims);
    await rm(file());
    expect(await new PreviewTokens(file()).verify("path", token, CONTAINER)).toBeUndefined();
    await writeFile(file(), "short");
    await expect(new PreviewTokens(file()).sign("path", claims)).rejects.toThrow("holds no secret");
  });
});
