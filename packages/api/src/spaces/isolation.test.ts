import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EngineInfo } from "../engine/engine.js";
import { Isolation, isolationFault } from "./isolation.js";
import type { SpaceSpec } from "./space-spec.js";

const spec = {} as SpaceSpec;
const node = { runtimes: ["runc"], missingLimits: [], seccomp: true } as unknown as EngineInfo;

describe("isolationFault", () => {
  it("finds none in an engine that can do it all", () => {
    expect(isolationFault(spec, node)).toBeUndefined();
    expect(isolationFault({ ...spec, runtime: "runc" }, node)).toBeUndefined();
  });

  it.each([
    ["a limit", {}, { missingLimits: ["pids"] as "pids"[] }, "can't limit pids"],
    ["the runtime", { runtime: "runsc" }, {}, "the engine has runc"],
    ["seccomp", {}, { seccomp: false }, "no seccomp profile"],
  ])("says that %s is missing", (_what, wanted, has, reason) => {
    expect(isolationFault({ ...spec, ...wanted }, { ...node, ...has })).toContain(reason);
  });

  it("makes do with a named profile where the engine has none of its own", () => {
    const named = { ...spec, seccomp: "mine.json" };
    expect(isolationFault(named, { ...node, seccomp: false })).toBeUndefined();
  });
});

describe("Isolation", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "isolation-"));
  });
  afterEach(() => rm(folder, { recursive: true }));
  const isolation = (now = node) => new Isolation({ info: async () => now }, folder);

  it("asks the engine again for a runtime that was added since", async () => {
    const added = { ...node, runtimes: ["runc", "runsc"] };
    const wanted = { ...spec, runtime: "runsc" };
    await expect(isolation(added).check(wanted, node)).resolves.toBeUndefined();
    await expect(isolation().check(wanted, node)).rejects.toMatchObject({ code: "unprocessable" });
  });

  it("reads a profile, and refuses what is none", async () => {
    const wanted = { ...spec, seccomp: "mine.json" };
    await expect(isolation().check(wanted, node)).rejects.toThrow("ENOENT");
    await writeFile(join(folder, "mine.json"), '{"defaultAction": "nonsense"}');
    await expect(isolation().check(wanted, node)).rejects.toThrow("no seccomp profile");
    const profile = { defaultAction: "SCMP_ACT_ERRNO", architectures: ["SCMP_ARCH_X86_64"] };
    await writeFile(join(folder, "mine.json"), JSON.stringify(profile));
    expect(JSON.parse((await isolation().check(wanted, node)) ?? "")).toEqual(profile);
  });
});
