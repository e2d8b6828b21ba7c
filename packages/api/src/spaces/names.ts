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
} as const;
