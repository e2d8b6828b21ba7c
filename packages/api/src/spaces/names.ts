import { randomUUID } from "node:crypto";

/** The names and labels by which our objects in the engine are known. `namespace` is "clawdspace" but for tests. */
export class Names {
  /** Tells this daemon's scratch containers from those of one before. */
  readonly #run = randomUUID();

  constructor(readonly namespace: string) {}

  container = (space: string) => `${this.namespace}-${space}`;
  /** A container that is still being made; '.' can't stand in a space's name, so no space is ever called this. */
  unfinished = (space: string) => `${this.namespace}.new.${space}`;
  volume = (space: string) => `${this.namespace}-vol-${space}`;
  /** A name for a container that is there for moments, to copy from and to. */
  scratch = () => `${this.namespace}.scratch.${this.#run}.${randomUUID()}`;
  /** Whether a container is a scratch one that an earlier daemon left behind. */
  isLeftScratch = (name: string) =>
    name.startsWith(`${this.namespace}.scratch.`) &&
    !name.startsWith(`${this.namespace}.scratch.${this.#run}.`);
  /** Between spaces with a list of domains and those names. */
  gateway = (address: string) => `${this.namespace}.gateway.${address}`;
  /** A container that waits to become a space; no space is ever called this either. */
  member = (id: string) => `${this.namespace}.pool.${this.#run}.${id}`;
  /** Whether a container waits to become a space of an earlier daemon. */
  isLeftMember = (name: string) =>
    name.startsWith(`${this.namespace}.pool.`) &&
    !name.startsWith(`${this.namespace}.pool.${this.#run}.`);
  memberVolume = (id: string) => `${this.namespace}-pool-${id}`;
  /** The name of the space that a container of ours is, by the container's own name, which alone can change. */
  spaceOf = (container: string) => {
    const prefix = `${this.namespace}-`;
    return container.startsWith(prefix) ? container.slice(prefix.length) : undefined;
  };
  guestVolume = (hash: string) => `${this.namespace}-guest-${hash}`;

  /** What every object of ours carries. */
  get ours(): Record<string, string> {
    return { [LABEL.namespace]: this.namespace };
  }
}

export const LABEL = {
  namespace: "clawdspace.namespace",
  space: "clawdspace.space",
  spec: "clawdspace.spec",
  /** The id of the create that made a container or volume: what a failed create may remove again. */
  create: "clawdspace.create",
  /** On a gateway: its address in the network of the spaces. */
  gateway: "clawdspace.gateway",
  /** On our images: user, folders and shell are as spaces need them. */
  sandbox: "clawdspace.sandbox",
  /** On what the pool made: its address in the network of the spaces, or nothing. It stays on what has become a space. */
  pool: "clawdspace.pool",
  /** On the volume of a space that came from the pool: the volume that has its files. */
  backing: "clawdspace.backing",
  /** On the same volume: all that the labels of the space's container would say, could they be changed. */
  claim: "clawdspace.claim",
} as const;

/** How a container is called and what it is told by, and the volume of its workspace. */
export interface Identity {
  name: string;
  hostname: string;
  labels: Record<string, string>;
  workspace: { source: string; labels: Record<string, string> };
  /** Whether its label holds the spec that it is made from. */
  labelled: boolean;
  /** What is on the other volumes that it has. */
  ours: Record<string, string>;
}

/** The identity of a space's container while it is being made. */
export function spaceIdentity(names: Names, space: string, createId: string): Identity {
  const labels = { ...names.ours, [LABEL.space]: space, [LABEL.create]: createId };
  return {
    name: names.unfinished(space),
    hostname: toHostname(space),
    labels,
    workspace: { source: names.volume(space), labels },
    labelled: true,
    ours: names.ours,
  };
}

/** The identity of a container that waits to become a space. */
export function memberIdentity(
  names: Names,
  createId: string,
  address: string | undefined,
): Identity {
  const labels = { ...names.ours, [LABEL.pool]: address ?? "", [LABEL.create]: createId };
  return {
    name: names.member(createId),
    hostname: "space",
    labels,
    workspace: { source: names.memberVolume(createId), labels },
    labelled: false,
    ours: names.ours,
  };
}

/** A host name by RFC 1123 that reads like the space's name. */
export function toHostname(name: string): string {
  const hostname = name.replaceAll("_", "-").replace(/^-+|-+$/g, "");
  return hostname || "space";
}
