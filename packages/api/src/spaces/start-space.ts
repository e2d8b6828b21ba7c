import { type Engine, EngineError } from "../engine/engine.js";
import type { NetworkService } from "../network/network-service.js";
import type { Hostnames } from "../pool/hostname.js";
import type { DiskStore } from "./disk-store.js";
import { type Names, toHostname } from "./names.js";
import type { SpaceSpec } from "./space-spec.js";

export interface StartParts {
  engine: Engine;
  names: Names;
  network: NetworkService;
  disks: DiskStore;
  hostnames: Hostnames;
}

/** Starts a space that was stopped, so that it reaches nothing but what its policy says, or not at all. */
export async function startSpace(
  parts: StartParts,
  { name, id, spec }: { name: string; id: string; spec: SpaceSpec },
): Promise<void> {
  const { engine, names, disks, hostnames } = parts;
  if (spec.diskBytes !== undefined) await disks.ready(names.volume(name));
  await startContainer(parts, id, spec);
  // The engine gives it the host name again that it was made with.
  if (spec.claimed) await hostnames.set(await engine.inspectContainer(id), toHostname(name));
}

/** Starts a container whose disk is there. */
export async function startContainer(
  { engine, network }: Pick<StartParts, "engine" | "network">,
  id: string,
  spec: SpaceSpec,
): Promise<void> {
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
