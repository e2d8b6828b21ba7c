import { type CreateSpaceRequest, TemplateSchema } from "@clawdspace/protocol";
import { describe, expect, it } from "vitest";
import { resolveSpec } from "./space-spec.js";

const defaults = { image: "clawdspace:latest", gpuImage: "clawdspace-gpu:latest" };
const resolve = (request: Partial<CreateSpaceRequest>, template: object = {}) =>
  resolveSpec(
    { name: "x", ...request },
    TemplateSchema.parse({ name: "t", ...template }),
    defaults,
  );

describe("resolveSpec", () => {
  it("falls back to 2 GiB, one CPU, no GPU, the internet", () => {
    expect(resolve({})).toMatchObject({
      image: defaults.image,
      memoryBytes: 2 * 1024 ** 3,
      cpus: 1,
      gpu: false,
      network: "internet",
      writableRootfs: true,
    });
  });

  it("lets the request win over the template", () => {
    const template = { resources: { memory: "1g", cpus: 2, gpu: true, image: "a" } };
    expect(resolve({ memory: "512m", cpus: 1, gpu: false, image: "b" }, template)).toMatchObject({
      memoryBytes: 512 * 1024 ** 2,
      cpus: 1,
      gpu: false,
      image: "b",
    });
    expect(resolve({}, template)).toMatchObject({ cpus: 2, gpu: true, image: "a" });
  });

  it("takes the GPU's image for a GPU, under the same network policy", () => {
    const network = { blockCidrs: ["10.0.0.0/8"] };
    expect(resolve({ gpu: true }, { network })).toMatchObject({
      image: defaults.gpuImage,
      network: "internet",
      blockCidrs: ["10.0.0.0/8"],
    });
  });

  it("keeps a template's limits, in bytes and milliseconds", () => {
    const template = {
      resources: { pids: 99, disk: "1g", tmpfs: "64m" },
      security: { runtime: "runsc", seccomp: "mine.json", writableRootfs: false },
      network: { mode: "lan", allowCidrs: ["10.0.0.1/32"] },
      sleep: { idleTimeout: "5m", keepAwakeWhileBusy: false },
    };
    expect(resolve({}, template)).toMatchObject({
      pids: 99,
      diskBytes: 1024 ** 3,
      tmpfs: { "/tmp": 64 * 1024 ** 2 },
      runtime: "runsc",
      seccomp: "mine.json",
      writableRootfs: false,
      network: "lan",
      allowCidrs: ["10.0.0.1/32"],
      sleep: { idleTimeoutMs: 300_000, keepAwakeWhileBusy: false },
    });
  });

  it("says nothing of the engine's own profile", () => {
    expect(resolve({}, { security: { seccomp: "default" } }).seccomp).toBeUndefined();
  });

  it("refuses a repository without a network to clone it by", () => {
    const offline = { network: { mode: "none" } };
    expect(() => resolve({ repoUrl: "https://x.test/r" }, offline)).toThrow("no network");
  });
});
