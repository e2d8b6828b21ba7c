import { createHash } from "node:crypto";
import type { ContainerSpec } from "../engine/engine.js";

/**
 * Everything of a container that can't be changed while it runs, as a short text: equal for containers of which one may
 * stand in for the other. Its name, its limits and what is behind its workspace can; whatever a spec gains is in here.
 */
export function shapeOf(spec: ContainerSpec, imageId: string): string {
  const { name, hostname, labels, address, memoryBytes, cpus, pids, volumes, ...fixed } = spec;
  const [workspace, ...others] = volumes;
  const mounts = [{ ...workspace, source: "", labels: {} }, ...others];
  return createHash("sha256")
    .update(JSON.stringify([imageId, fixed, mounts, address !== undefined]))
    .digest("hex")
    .slice(0, 16);
}
