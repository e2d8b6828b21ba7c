import { join } from "node:path";
import type { ContainerSummary, Engine } from "../engine/engine.js";
import { Names } from "../spaces/names.js";
import { SpecReader } from "../spaces/spec-reader.js";
import { ClaimStore } from "./claim-store.js";

/**
 * Sees to it that the files of spaces that came from the pool are known by the spaces' names before their containers go:
 * an engine's clean-up may have taken the volumes that say so.
 * @param dataDir the daemon's, which has ended
 */
export async function nameClaimedVolumes(
  engine: Engine,
  namespace: string,
  containers: ContainerSummary[],
  dataDir: string,
): Promise<void> {
  const names = new Names(namespace);
  const claims = new ClaimStore(engine, names, join(dataDir, "claims"));
  const specs = new SpecReader(names, claims);
  for (const container of containers) {
    const space = specs.spaceOf(container);
    const claim = space === undefined ? undefined : await claims.of(container.id, space);
    if (claim) await claims.name(claim);
  }
}
