import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadApiKey } from "./api-key.js";
import { KeyStore } from "./key-store.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "keys-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const open = async () => {
  const store = new KeyStore(join(folder, "keys.json"), "the-owners-key");
  await store.load();
  return store;
};

describe("KeyStore", () => {
  it("knows the owner as admin and nobody else", async () => {
    const store = await open();
    expect(store.verify("the-owners-key")?.actor).toEqual({ name: "owner", role: "admin" });
    expect(store.verify("the-owners-kez")).toBeUndefined();
    expect(store.verify("")).toBeUndefined();
  });

  it("keeps a made key over a restart, as a hash that only its user reads", async () => {
    const { key, secret } = await (await open()).create({
      name: "bot",
      role: "agent",
      spaces: ["bot-*"],
    });
    expect(secret).toMatch(/^clawdspace_sk_live_[0-9a-f]{32}$/);
    const reopened = await open();
    expect(reopened.verify(secret)?.actor).toEqual({
      name: "bot",
      role: "agent",
      spaces: ["bot-*"],
    });
    expect(reopened.actorOf(key.id)?.name).toBe("bot");
    const text = await readFile(join(folder, "keys.json"), "utf8");
    expect(text).not.toContain(secret);
    expect(text).not.toContain("the-owners-key");
    expect((await stat(join(folder, "keys.json"))).mode & 0o777).toBe(0o600);
  });

  it("refuses a name twice, and the owner's", async () => {
    const store = await open();
    await store.create({ name: "a", role: "viewer" });
    await expect(store.create({ name: "a", role: "viewer" })).rejects.toMatchObject({
      code: "exists",
    });
    await expect(store.create({ name: "owner", role: "viewer" })).rejects.toMatchObject({
      code: "exists",
    });
  });

  it("forgets a revoked key at once, by id or name", async () => {
    const store = await open();
    const a = await store.create({ name: "a", role: "viewer" });
    const b = await store.create({ name: "b", role: "viewer" });
    await store.revoke(a.key.id);
    await store.revoke("b");
    expect(store.verify(a.secret)).toBeUndefined();
    expect(store.verify(b.secret)).toBeUndefined();
    expect(store.actorOf(a.key.id)).toBeUndefined();
    await expect(store.revoke("b")).rejects.toMatchObject({ code: "not_found" });
  });

  it("notes when a key was last used", async () => {
    const store = await open();
    const { secret } = await store.create({ name: "a", role: "viewer" });
    expect(store.list()[0]?.lastUsedAt).toBeUndefined();
    store.verify(secret);
    await store.close();
    expect((await open()).list()[0]?.lastUsedAt).toBeDefined();
  });

  it("lists nothing that opens anything", async () => {
    const store = await open();
    await store.create({ name: "a", role: "viewer" });
    expect(Object.keys(store.list()[0] ?? {}).sort()).toEqual(["createdAt", "id", "name", "role"]);
  });
});

describe("loadApiKey", () => {
  it("makes a key once, readable by its user alone, and reads it from then on", async () => {
    const made = await loadApiKey(join(folder, "config"));
    expect(made.created).toBe(true);
    expect(made.key).toMatch(/^clawdspace_sk_live_[0-9a-f]{32}$/);
    expect((await stat(made.file)).mode & 0o777).toBe(0o600);
    expect(await loadApiKey(join(folder, "config"))).toEqual({ ...made, created: false });
  });
});
