import type { VolumeSummary } from "../engine/engine.js";
import type { Names } from "../spaces/names.js";
import type { SpaceRegistry } from "../spaces/registry.js";
import type { ClaimStore } from "./claim-store.js";

/**
 * Makes volumes again by which claimed spaces are known, where an engine's clean-up took them: no container mounts them
 * by that name. What is in them was never in danger, since the space's container holds the volume behind.
 */
export async function restoreNames(
  volumes: VolumeSummary[],
  names: Names,
  registry: Pick<SpaceRegistry, "known" | "has">,
  claims: ClaimStore,
): Promise<void> {
  const there = new Set(volumes.map(({ name }) => name));
  for (const entry of registry.known()) {
    if (!entry.spec.claimed || there.has(names.volume(entry.name))) continue;
    const claim = await claims.of(entry.id, entry.name);
    if (claim && registry.has(entry)) await claims.name(claim);
  }
}
