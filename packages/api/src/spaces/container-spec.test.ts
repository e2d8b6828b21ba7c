import { describe, expect, it } from "vitest";
import { type ContainerContext, toContainerSpec } from "./container-spec.js";
import { Names, spaceIdentity, toHostname } from "./names.js";
import { type SpaceSpec, SpaceSpecSchema } from "./space-spec.js";

const GIB = 1024 ** 3;
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
const context: ContainerContext = {
  identity: spaceIdentity(new Names("cs"), "dev", "id"),
  guestVolume: "cs-guest-1",
  network: "cs-net",
  sandboxImage: true,
};

describe("toContainerSpec", () => {
  it("gives every space its user, limits, and nothing of the node", () => {
    const made = toContainerSpec(spec, context);
    expect(made).toMatchObject({
      user: "1001:1001",
      memoryBytes: 2 * GIB,
      cpus: 1,
      pids: 1024,
      network: "cs-net",
      address: "172.29.0.5",
      readonlyRootfs: false,
      command: ["/.clawdspace/guest"],
      init: false,
    });
    expect(made.volumes.map(({ target, readonly }) => [target, readonly])).toEqual([
      ["/workspace", false],
      ["/.clawdspace", true],
    ]);
    expect(made.capAdd).toBeUndefined();
    expect(made.runtime).toBeUndefined();
  });

  it("reaps zombies by the engine's init where the guest agent can't run", () => {
    const made = toContainerSpec(spec, { ...context, guestVolume: undefined });
    expect(made).toMatchObject({ init: true, command: ["sleep", "infinity"] });
  });

  it("has no network where there is none, and keeps its spec where a restart finds it", () => {
    const { address: _none, ...offline } = { ...spec, network: "none" as const };
    const made = toContainerSpec(offline, { ...context, network: undefined });
    expect(made.network).toBe("none");
    expect(made.address).toBeUndefined();
    expect(SpaceSpecSchema.parse(JSON.parse(made.labels["clawdspace.spec"] ?? ""))).toEqual(
      offline,
    );
  });

  it("takes what a template asks for", () => {
    const made = toContainerSpec(
      { ...spec, writableRootfs: false, pids: 64, runtime: "runsc", tmpfs: { "/tmp": 1, "/x": 2 } },
      { ...context, seccompProfile: "{}" },
    );
    expect(made).toMatchObject({
      pids: 64,
      runtime: "runsc",
      seccompProfile: "{}",
      readonlyRootfs: true,
    });
    expect(made.tmpfs.map(({ target, sizeBytes }) => [target, sizeBytes])).toEqual([
      ["/tmp", 1],
      ["/run", 64 * 1024 ** 2],
      ["/home/sandbox", GIB / 2],
      ["/x", 2],
    ]);
  });

  it("reads specs of containers that were made before a field was there", () => {
    const { address: _none, ...old } = spec;
    expect(SpaceSpecSchema.parse(old)).toEqual(old);
  });
});

describe("toHostname", () => {
  it.each([
    ["dev", "dev"],
    ["my_box", "my-box"],
    ["-_-", "space"],
  ])("makes %s into %s", (name, hostname) => expect(toHostname(name)).toBe(hostname));
});
