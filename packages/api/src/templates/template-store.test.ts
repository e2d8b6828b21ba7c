import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SHIPPED_TEMPLATES } from "./shipped.js";
import { TemplateStore } from "./template-store.js";

let folder: string;
let store: TemplateStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "clawdspace-templates-"));
  store = new TemplateStore(join(folder, "templates"));
  await store.prepare();
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (name: string) => join(folder, "templates", `${name}.yaml`);

describe("TemplateStore", () => {
  it("ships its templates", async () => {
    const names = (await store.list()).map(({ name }) => name);
    expect(names).toEqual(Object.keys(SHIPPED_TEMPLATES).sort());
    expect((await store.list()).find(({ name }) => name === "gpu")?.managed).toBe(true);
  });

  it("keeps what an author wrote to the letter, and leaves no other file", async () => {
    const yaml =
      "# why: builds need room\nresources:   # big\n  memory: 4g\nname: build\n\n# the end";
    expect(await store.put(yaml)).toMatchObject({ name: "build", resources: { memory: "4g" } });
    expect((await store.source("build")).yaml).toBe(`${yaml}\n`);
    expect((await readdir(join(folder, "templates"))).filter((each) => /build/.test(each))).toEqual(
      ["build.yaml"],
    );
  });

  it("writes managed templates anew at start and leaves the others as they are", async () => {
    await writeFile(file("gpu"), "name: gpu\nmanaged: true\n");
    await writeFile(file("lan"), "name: lan\ndescription: mine\n");
    await store.prepare();
    expect(await readFile(file("gpu"), "utf8")).toBe(SHIPPED_TEMPLATES.gpu);
    expect((await store.get("lan")).description).toBe("mine");
  });

  it("doesn't bring back a shipped template that was deleted", async () => {
    await store.remove("lan");
    await store.prepare();
    await expect(store.get("lan")).rejects.toMatchObject({ code: "not_found" });
  });

  it("refuses to change or delete managed templates, and to make one", async () => {
    await expect(store.put("name: gpu\n")).rejects.toMatchObject({ code: "wrong_state" });
    await expect(store.remove("gpu")).rejects.toMatchObject({ code: "wrong_state" });
    await expect(store.put("name: mine\nmanaged: true\n")).rejects.toMatchObject({
      code: "invalid_request",
      issues: [{ path: "managed" }],
    });
  });

  it("refuses a faulty template as the sender's fault, and keeps the one that was there", async () => {
    await store.put("name: mine\ndescription: good\n");
    await expect(store.put("name: mine\ncolour: red\n")).rejects.toMatchObject({
      code: "invalid_request",
      issues: [{ path: "colour", line: 2 }],
    });
    expect((await store.get("mine")).description).toBe("good");
  });

  it("lists a file that was broken by hand, with what is wrong, and can delete it", async () => {
    await writeFile(file("lan"), "name: lan\nnetwork: { mode: moon }\n");
    expect((await store.list()).find(({ name }) => name === "lan")?.error).toContain("line 2");
    await expect(store.get("lan")).rejects.toMatchObject({ code: "unprocessable" });
    await store.remove("lan");
  });

  it("refuses a file that is called otherwise than its template", async () => {
    await writeFile(file("other"), "name: lan\n");
    await expect(store.get("other")).rejects.toMatchObject({ issues: [{ path: "name" }] });
  });

  it.each(["missing", "../secrets", ""])("has no template %j", async (name) => {
    await expect(store.get(name)).rejects.toMatchObject({ code: "not_found" });
  });

  it("falls back to the folder's default, else to the shipped one", async () => {
    await store.put("name: default\nresources: { memory: 3g }\n");
    expect((await store.fallback()).resources?.memory).toBe("3g");
    await store.remove("default");
    expect((await store.fallback()).network?.mode).toBe("internet");
  });
});
