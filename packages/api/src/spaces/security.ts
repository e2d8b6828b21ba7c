import type { SpaceSecurity } from "@clawdspace/protocol";
import type { ContainerSecurity } from "../engine/engine.js";
import { blockedCidrs, policyOf } from "../network/policy.js";
import type { SpaceSpec } from "./space-spec.js";

/** What confines a space, for people to see: limits and hardening as the engine tells them, the network by its policy. */
export function toSecurity(
  found: ContainerSecurity,
  spec: SpaceSpec,
  enforcement: { by: string; checkedAt: Date } | undefined,
): SpaceSecurity {
  const policy = policyOf(spec);
  return {
    user: found.user,
    capabilities: found.capabilities,
    noNewPrivileges: found.noNewPrivileges,
    seccomp: found.seccomp === "custom" ? (spec.seccomp ?? "custom") : found.seccomp,
    runtime: found.runtime,
    readonlyRootfs: found.readonlyRootfs,
    privileged: found.privileged,
    hostMounts: found.hostMounts,
    maskedPaths: found.maskedPaths,
    readonlyPaths: found.readonlyPaths,
    tmpfs: found.tmpfs,
    limits: {
      memoryBytes: found.memoryBytes,
      memorySwapBytes: found.memorySwapBytes,
      cpus: found.cpus,
      pids: found.pids,
      ...(spec.diskBytes === undefined ? {} : { diskBytes: spec.diskBytes }),
    },
    network: {
      mode: spec.network,
      name: found.networkMode,
      ...(found.address ? { address: found.address } : {}),
      blockedCidrs: policy ? blockedCidrs(policy) : ["0.0.0.0/0", "::/0"],
      allowedCidrs: [...(policy?.allowCidrs ?? [])],
      ...(policy?.allowDomains ? { allowedDomains: [...policy.allowDomains] } : {}),
      ...(policy && enforcement
        ? { enforcedBy: enforcement.by, checkedAt: enforcement.checkedAt.toISOString() }
        : {}),
    },
  };
}
