import { type Engine, EngineError } from "../engine/engine.js";
import type { NetworkService } from "../network/network-service.js";
import type { DiskStore } from "./disk-store.js";
import type { Names } from "./names.js";
import type { SpaceSpec } from "./space-spec.js";

export interface StartParts {
  engine: Engine;
  names: Names;
  network: NetworkService;
  disks: DiskStore;
}

/** Starts a space's container so that it reaches nothing but what its policy says, or not at all. */
export async function startSpace(
  { engine, names, network, disks }: StartParts,
  { name, id, spec }: { name: string; id: string; spec: SpaceSpec },
): Promise<void> {
  if (spec.diskBytes !== undefined) await disks.ready(names.volume(name));
  if (spec.address === undefined) return await engine.startContainer(id);
  await network.ready(spec);
  try {
    await engine.startContainer(id);
  } catch (error) {
    if (!(error instanceof EngineError) || error.kind !== "not_found") throw error;
    // The engine's clean-up takes networks away that no running container uses.
    await network.reattach(id, spec);
    await engine.startContainer(id);
  }
}
