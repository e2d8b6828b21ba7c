import { describe, expect, it } from "vitest";
import { completeLock } from "./lock-file.mjs";

const tool = {
  version: "1.2.3",
  dev: true,
  optionalDependencies: { "@tool/linux-x64": "1.2.3", "@tool/linux-arm64-musl": "1.2.3" },
};

describe("completeLock", () => {
  it("adds what the lock lacks, for its platform only", () => {
    const present = { version: "1.2.3", integrity: "sha512-x" };
    const { lock, added } = completeLock({
      lockfileVersion: 3,
      packages: { "node_modules/tool": tool, "node_modules/@tool/linux-x64": present },
    });
    expect(added).toEqual(["@tool/linux-arm64-musl"]);
    expect(lock.lockfileVersion).toBe(3);
    expect(lock.packages["node_modules/@tool/linux-x64"]).toEqual(present);
    expect(lock.packages["node_modules/@tool/linux-arm64-musl"]).toEqual({
      version: "1.2.3",
      dev: true,
      optional: true,
      os: ["linux"],
      cpu: ["arm64"],
      libc: ["musl"],
    });
  });

  it("finds a package nested where Node.js would", () => {
    const packages = {
      "node_modules/a/node_modules/tool": tool,
      "node_modules/a/node_modules/@tool/linux-x64": {},
      "node_modules/@tool/linux-arm64-musl": {},
    };
    expect(completeLock({ packages }).added).toEqual([]);
  });

  it("leaves alone what is no platform's binary or no exact version", () => {
    const optionalDependencies = { fsevents: "2.3.3", "@tool/darwin-arm64": "^1.0.0" };
    const packages = { "node_modules/tool": { version: "1.0.0", optionalDependencies } };
    expect(completeLock({ packages })).toEqual({ lock: { packages }, added: [] });
  });
});
