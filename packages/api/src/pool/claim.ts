import { setTimeout as delay } from "node:timers/promises";
import { type Engine, EngineError } from "../engine/engine.js";
import type { NetworkService } from "../network/network-service.js";
import { limitsOf } from "../spaces/container-spec.js";
import type { Guests } from "../spaces/guests.js";
import { toHostname } from "../spaces/names.js";
import { SpaceEntry } from "../spaces/space-entry.js";
import type { SpaceSpec } from "../spaces/space-spec.js";
import type { Claim, ClaimStore } from "./claim-store.js";
import type { Hostnames } from "./hostname.js";
import type { Member } from "./member.js";

/** A guest agent that takes longer has something wrong. */
const ANSWER_MS = 2000;

export interface ClaimParts {
  engine: Engine;
  network: NetworkService;
  guests: Guests;
  claims: ClaimStore;
  hostnames: Hostnames;
}

/**
 * Makes of a container that waits what a space's own would be: its volume known by the space's name, its limits, its
 * host name, and its policy in force. Only its name is still the pool's: the rename is what commits it.
 * Throws where anything of that can't be had; then the container is of no use any more.
 */
export async function claimMember(
  { engine, network, guests, claims, hostnames }: ClaimParts,
  member: Member,
  name: string,
  spec: SpaceSpec,
): Promise<SpaceEntry> {
  const { id, createId, details, volume } = member;
  const claim = {
    space: name,
    containerId: id,
    createId,
    createdAt: new Date().toISOString(),
    volume: volume.name,
    mountpoint: volume.mountpoint,
    spec,
  };
  await allDone([
    nameVolume(claims, claim),
    claims.write(claim),
    network.admit(spec),
    hostnames.set(details, toHostname(name)),
    awake(engine, guests, member),
    setLimits(engine, member, spec),
  ]);
  const entry = new SpaceEntry(name, id, spec, new Date(claim.createdAt), "running");
  entry.learn(details);
  // What the engine tells of the time before is about the pool.
  entry.setState("running");
  return entry;
}

async function nameVolume(claims: ClaimStore, claim: Claim): Promise<void> {
  if (!(await claims.name(claim))) throw new Error("there is a volume of that name already");
}

/** Wakes the container, and hears from its guest agent that it is there. */
async function awake(engine: Engine, guests: Guests, member: Member): Promise<void> {
  if (member.paused) {
    await engine.unpauseContainer(member.id).catch((error: unknown) => {
      if (!(error instanceof EngineError) || error.kind !== "conflict") throw error;
    });
  }
  const guest = await guests.of(member);
  const late = delay(ANSWER_MS, "late", { ref: false });
  if ((await Promise.race([guest.ping(), late])) === "late") {
    throw new Error("the guest agent of a waiting container does not answer");
  }
}

async function setLimits(engine: Engine, { id, limits }: Member, spec: SpaceSpec): Promise<void> {
  const wanted = limitsOf(spec);
  const same = (Object.keys(wanted) as (keyof typeof wanted)[]).every(
    (name) => wanted[name] === limits[name],
  );
  if (!same) await engine.updateLimits(id, wanted);
}

/** Resolves when all have, and rejects only then, so that nothing goes on behind what undoes it. */
async function allDone(tasks: Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(tasks);
  for (const each of settled) if (each.status === "rejected") throw each.reason;
}
