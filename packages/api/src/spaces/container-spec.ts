import type { ContainerSpec, Limits, Tmpfs } from "../engine/engine.js";
import { type Identity, LABEL } from "./names.js";
import type { SpaceSpec } from "./space-spec.js";

export const SANDBOX_UID = 1001;
export const SANDBOX_USER = `${SANDBOX_UID}:${SANDBOX_UID}`;
export const WORKSPACE = "/workspace";
export const SANDBOX_HOME = "/home/sandbox";
const GUEST_MOUNT = "/.clawdspace";
const DEFAULT_PIDS = 1024;
const RUN_BYTES = 64 * 1024 ** 2;

export interface ContainerContext {
  identity: Identity;
  /** The volume that holds the guest agent; undefined where it can't run, so that the engine's exec is used. */
  guestVolume: string | undefined;
  /** The network of the spaces; undefined for a space without one. */
  network: string | undefined;
  /** As JSON, in place of the engine's. */
  seccompProfile?: string | undefined;
  /** Whether the image is one of ours, whose /workspace a new volume takes its owner from. */
  sandboxImage: boolean;
}

/** How a space's container is made: limits, hardening, mounts and labels. Pure. */
export function toContainerSpec(spec: SpaceSpec, context: ContainerContext): ContainerSpec {
  const { identity, guestVolume, sandboxImage, network, seccompProfile } = context;
  const { workspace, labelled, ours, ...identified } = identity;
  const [address] = spec.address?.split("/") ?? [];
  return {
    ...identified,
    image: spec.image,
    command: guestVolume ? [`${GUEST_MOUNT}/guest`] : ["sleep", "infinity"],
    init: guestVolume === undefined,
    env: {},
    user: SANDBOX_USER,
    workdir: WORKSPACE,
    labels: {
      ...identified.labels,
      ...(labelled ? { [LABEL.spec]: JSON.stringify(spec) } : {}),
    },
    ...limitsOf(spec),
    volumes: [
      { ...workspace, target: WORKSPACE, readonly: false, copyUp: sandboxImage },
      ...(guestVolume
        ? [
            {
              source: guestVolume,
              target: GUEST_MOUNT,
              readonly: true,
              labels: ours,
              copyUp: false,
            },
          ]
        : []),
    ],
    tmpfs: toTmpfs(spec),
    network: network ?? "none",
    ...(address ? { address } : {}),
    ...(spec.gateway ? { dns: [spec.gateway] } : {}),
    ...(spec.runtime ? { runtime: spec.runtime } : {}),
    ...(seccompProfile ? { seccompProfile } : {}),
    readonlyRootfs: !spec.writableRootfs,
    ...(spec.gpus ? { gpus: spec.gpus } : {}),
  };
}

/** What a space's container may use at most. */
export const limitsOf = ({ memoryBytes, cpus, pids }: SpaceSpec): Limits => ({
  memoryBytes,
  cpus,
  pids: pids ?? DEFAULT_PIDS,
});

/** What every space has as tmpfs, with the sizes that its spec names, and what the spec adds. */
function toTmpfs(spec: SpaceSpec): Tmpfs[] {
  const usual: Tmpfs[] = [
    { target: "/tmp", sizeBytes: Math.floor(spec.memoryBytes / 2), mode: 0o1777, exec: true },
    // The runtime gives a tmpfs the mode of the image's folder, which is for root alone; so the user owns it.
    { target: "/run", sizeBytes: RUN_BYTES, mode: 0o755, exec: false, owner: SANDBOX_UID },
  ];
  if (!spec.writableRootfs) {
    const sizeBytes = Math.floor(spec.memoryBytes / 4);
    usual.push({ target: SANDBOX_HOME, sizeBytes, mode: 0o755, exec: true, owner: SANDBOX_UID });
  }
  const sizes = new Map(Object.entries(spec.tmpfs ?? {}));
  const sized = usual.map((each) => {
    const sizeBytes = sizes.get(each.target) ?? each.sizeBytes;
    sizes.delete(each.target);
    return { ...each, sizeBytes };
  });
  const added = [...sizes].map(([target, sizeBytes]) => {
    return { target, sizeBytes, mode: 0o755, exec: true, owner: SANDBOX_UID };
  });
  return [...sized, ...added];
}
