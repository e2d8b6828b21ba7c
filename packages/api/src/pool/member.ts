import type {
  ContainerDetails,
  ContainerSummary,
  Engine,
  Limits,
  VolumeSummary,
} from "../engine/engine.js";
import type { NetworkService } from "../network/network-service.js";
import type { Blueprint } from "../spaces/blueprint.js";
import { type BuildParts, buildContainer } from "../spaces/build-container.js";
import { limitsOf, toContainerSpec } from "../spaces/container-spec.js";
import type { Guests } from "../spaces/guests.js";
import type { Leftovers } from "../spaces/leftovers.js";
import { LABEL, memberIdentity } from "../spaces/names.js";

export interface MemberParts extends BuildParts {
  engine: Engine;
  network: NetworkService;
  guests: Guests;
  leftovers: Leftovers;
}

/** A started container that waits to become a space. It reaches what its shape was last asked for with, and runs nothing of anybody's. */
export interface Member {
  id: string;
  /** The container's name. */
  name: string;
  createId: string;
  shape: string;
  details: ContainerDetails;
  limits: Limits;
  volume: VolumeSummary;
  /** With the prefix length of its network; undefined where it has none. */
  address: string | undefined;
  readySince: number;
  paused: boolean;
}

/** What a daemon has in the engine. The volumes were listed first: whatever uses one of them is among the containers, unless it is gone. */
export interface Stock {
  volumes: VolumeSummary[];
  containers: ContainerSummary[];
}

/** Makes a member, its guest agent connected, or nothing. */
export async function makeMember(
  parts: MemberParts,
  blueprint: Blueprint,
  { createId, shape }: { createId: string; shape: string },
): Promise<Member> {
  const { engine, network, names, guests, leftovers } = parts;
  const link = await network.lease(blueprint.spec);
  let id: string | undefined;
  try {
    const identity = memberIdentity(names, createId, link?.address);
    const spec = { ...blueprint.spec, ...(link ? { address: link.address } : {}) };
    const container = toContainerSpec(spec, { ...blueprint, identity, network: link?.network });
    const { source, labels } = identity.workspace;
    const admitted = network.admit(spec);
    admitted.catch(() => {});
    const volume = await engine.createVolume(source, labels);
    await buildContainer(parts, { ...blueprint, spec }, container, (made) => {
      id = made;
    });
    await admitted;
    if (id === undefined) throw new Error("the engine made no container");
    const details = await engine.inspectContainer(id);
    const member = {
      id,
      name: identity.name,
      createId,
      shape,
      details,
      limits: limitsOf(spec),
      volume,
      address: link?.address,
      readySince: Date.now(),
      paused: false,
    };
    await guests.of(member);
    return member;
  } catch (error) {
    await leftovers.undo(id, createId).catch(() => {});
    network.release(link?.address);
    throw error;
  }
}

/** Removes a member with all that it has. */
export async function removeMember(parts: MemberParts, member: Member): Promise<void> {
  parts.guests.close(member);
  await parts.leftovers.undo(member.id, member.createId);
  parts.network.release(member.address);
}

/** Removes what an earlier daemon's pool left: members, and volumes that nothing knows by another name. */
export async function sweepMembers(
  { engine, names, network, leftovers }: MemberParts,
  { volumes, containers }: Stock,
  isOwn: (createId: string) => boolean,
): Promise<void> {
  const known = new Set(volumes.map(({ labels }) => labels[LABEL.backing]));
  for (const { id, name, labels } of containers) {
    const createId = labels[LABEL.create];
    if (createId === undefined || !names.isLeftMember(name)) continue;
    await leftovers.undo(id, createId);
    network.release(labels[LABEL.pool] || undefined);
  }
  const used = new Set(containers.map(({ labels }) => labels[LABEL.create]));
  for (const { name, labels } of volumes) {
    const createId = labels[LABEL.create];
    if (labels[LABEL.pool] === undefined || createId === undefined) continue;
    if (known.has(name) || used.has(createId) || isOwn(createId)) continue;
    // A space that was made again on a volume that was kept has it mounted: that is refused.
    await engine.removeVolume(name).catch(() => {});
  }
}
