import { setTimeout as delay } from "node:timers/promises";
import { ClawdspaceError } from "@clawdspace/protocol";
import { toHostPart } from "../ports/preview-host.js";
import type { SpaceRegistry } from "../spaces/registry.js";
import type { Fleet } from "./fleet.js";
import { type Peer, unreachable } from "./peer.js";

/** How long a name is asked for: a node that hangs must not hold up for longer what it may have nothing to do with. */
const LOOKUP_MS = 3000;

/** Knows on which node each space is. */
export class Whereabouts {
  readonly #namedAs = new Map<string, string>();

  constructor(
    private readonly fleet: Fleet,
    private readonly registry: Pick<SpaceRegistry, "peek">,
  ) {}

  /**
   * The node that has a space; undefined where that is this one, or where none has it. It is a look-up in memory for a space
   * that is here; the others are asked where none is known to have it. Throws `ambiguous`, `node_unreachable`.
   */
  locate(name: string): Peer | undefined | Promise<Peer | undefined> {
    const holders = this.fleet.holders(name);
    if (holders.length === 0 && this.registry.peek(name)) return undefined;
    const [only, second] = holders;
    if (only && !second && only.state === "online" && !this.registry.peek(name)) return only;
    return this.#ask(name);
  }

  /** Whether this node has it, in memory as it is now. */
  isHere(name: string): boolean {
    return this.registry.peek(name) !== undefined;
  }

  /** The name of a space that another node is known to have, by the part of a host name that stands for it. */
  namedAs(hostPart: string): string | undefined {
    const known = this.#namedAs.get(hostPart);
    if (known !== undefined && this.fleet.holders(known).length > 0) return known;
    this.#namedAs.delete(hostPart);
    const names = this.fleet.peers().flatMap(({ status }) => status?.spaces ?? []);
    const name = names.find((each) => toHostPart(each) === hostPart);
    if (name !== undefined) this.#namedAs.set(hostPart, name);
    return name;
  }

  /** As `locate`, by what the other nodes say now, where they do so in time. */
  async #ask(name: string): Promise<Peer | undefined> {
    await soon(this.fleet.online().map((peer) => this.fleet.probe(peer)));
    const gone = this.fleet.holders(name).filter(({ state }) => state !== "online");
    const elsewhere = this.isHere(name) || this.fleet.holders(name).length > gone.length;
    const revived = gone.map((peer) => this.fleet.revive(peer));
    // Who can answer doesn't wait for who may be gone for good.
    if (!elsewhere) await soon(revived);
    const holders = this.fleet.holders(name);
    const online = holders.filter(({ state }) => state === "online");
    const here = this.registry.peek(name) !== undefined;
    const nodes = [
      ...(here ? [this.fleet.name] : []),
      ...online.map(({ machine }) => machine.name),
    ];
    if (nodes.length > 1) {
      const ways = nodes.map((node) => `${name}@${node}`).join(" or ");
      throw new ClawdspaceError(
        "ambiguous",
        `There are spaces "${name}" on ${nodes.length} nodes. Say ${ways}.`,
      );
    }
    if (here || online.length === 1) return online[0];
    // Better told than "not found", which might make somebody create it anew.
    if (holders[0]) throw unreachable(holders[0]);
    return undefined;
  }
}

const soon = async (answers: Promise<void>[]) => {
  const timer = new AbortController();
  const late = delay(LOOKUP_MS, undefined, { signal: timer.signal, ref: false }).catch(() => {});
  await Promise.race([Promise.all(answers), late]);
  timer.abort();
};
