import type { ContainerSpec, Tmpfs } from "../engine/engine.js";
import { LABEL, type Names } from "./names.js";
import type { SpaceSpec } from "./space-spec.js";

export const SANDBOX_UID = 1001;
export const SANDBOX_USER = `${SANDBOX_UID}:${SANDBOX_UID}`;
export const WORKSPACE = "/workspace";
export const SANDBOX_HOME = "/home/sandbox";
const GUEST_MOUNT = "/.clawdspace";
const DEFAULT_PIDS = 1024;
const RUN_BYTES = 64 * 1024 ** 2;

export interface ContainerContext {
  name: string;
  createId: string;
  names: Names;
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
  const { name, createId, names, guestVolume, sandboxImage, network, seccompProfile } = context;
  const [address] = spec.address?.split("/") ?? [];
  const made = { ...names.ours, [LABEL.space]: name, [LABEL.create]: createId };
  return {
    name: names.unfinished(name),
    image: spec.image,
    command: guestVolume ? [`${GUEST_MOUNT}/guest`] : ["sleep", "infinity"],
    init: guestVolume === undefined,
    env: {},
    user: SANDBOX_USER,
    workdir: WORKSPACE,
    hostname: toHostname(name),
    labels: { ...made, [LABEL.spec]: JSON.stringify(spec) },
    memoryBytes: spec.memoryBytes,
    cpus: spec.cpus,
    pids: spec.pids ?? DEFAULT_PIDS,
    volumes: [
      {
        source: names.volume(name),
        target: WORKSPACE,
        readonly: false,
        labels: made,
        copyUp: sandboxImage,
      },
      ...(guestVolume
        ? [
            {
              source: guestVolume,
              target: GUEST_MOUNT,
              readonly: true,
              labels: names.ours,
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
    gpu: spec.gpu,
  };
}

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

/** A host name by RFC 1123 that reads like the space's name. */
export function toHostname(name: string): string {
  const hostname = name.replaceAll("_", "-").replace(/^-+|-+$/g, "");
  return hostname || "space";
}
