import { describe, expect, it } from "vitest";
import { type ContainerContext, toContainerSpec } from "../spaces/container-spec.js";
import { memberIdentity, Names, spaceIdentity } from "../spaces/names.js";
import type { SpaceSpec } from "../spaces/space-spec.js";
import { shapeOf } from "./shape.js";

const GIB = 1024 ** 3;
const names = new Names("cs");
const spec: SpaceSpec = {
  image: "clawdspace:latest",
  memoryBytes: 2 * GIB,
  cpus: 1,
  gpu: false,
  network: "internet",
  address: "172.29.0.5/22",
  writableRootfs: true,
  allowRoot: false,
  guest: true,
};
const context: Omit<ContainerContext, "identity"> = {
  guestVolume: "cs-guest-1",
  network: "cs-net",
  sandboxImage: true,
};
const shape = (changes: Partial<SpaceSpec>, others: Partial<ContainerContext> = {}, image = "i") =>
  shapeOf(
    toContainerSpec(
      { ...spec, ...changes },
      { ...context, identity: spaceIdentity(names, "dev", "c1"), ...others },
    ),
    image,
  );
const base = shape({});

describe("shapeOf", () => {
  it("is the same for a space and for what waits to become it, whatever its name, address and limits", () => {
    expect(shape({ address: "172.29.0.9/22", cpus: 2, pids: 64 })).toBe(base);
    expect(shape({ labels: { a: "b" }, description: "x", allowRoot: true })).toBe(base);
    expect(shape({ network: "lan", blockCidrs: ["10.0.0.0/8"] })).toBe(base);
    expect(shape({}, { identity: memberIdentity(names, "id", "172.29.0.9/22") })).toBe(base);
  });

  it("follows the memory only where that sizes a tmpfs", () => {
    expect(shape({ memoryBytes: GIB })).not.toBe(base);
    const tmpfs = { "/tmp": 1024 ** 2 };
    expect(shape({ memoryBytes: GIB, tmpfs })).toBe(shape({ tmpfs }));
  });

  it("differs with everything that a running container can't change", () => {
    const others = [
      shape({ image: "other:latest" }),
      shape({}, {}, "rebuilt"),
      shape({ writableRootfs: false }),
      shape({ gpu: true, gpus: [{ id: "GPU-1", kind: "nvidia", devices: [], groups: [] }] }),
      shape({ runtime: "crun" }),
      shape({ tmpfs: { "/tmp": 1 } }),
      shape({}, { seccompProfile: "{}" }),
      shape({}, { guestVolume: "cs-guest-2" }),
      shape({}, { network: "other-net" }),
      shape({}, { sandboxImage: false }),
    ];
    expect(new Set([base, ...others]).size).toBe(others.length + 1);
  });
});
