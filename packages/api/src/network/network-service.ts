import { ClawdspaceError } from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Engine } from "../engine/engine.js";
import { LABEL, type Names } from "../spaces/names.js";
import type { SpaceSpec } from "../spaces/space-spec.js";
import type { SpecReader } from "../spaces/spec-reader.js";
import { Addresses } from "./addresses.js";
import type { ReportedDenial } from "./denials.js";
import { DomainAccess } from "./domain-access.js";
import { findNetwork, makeNetwork } from "./engine-network.js";
import { type Firewall, faults, openFirewall } from "./firewall.js";
import { gatewayPolicy, type NetworkPolicy, policyId, policyOf } from "./policy.js";
import type { Admission, RuleContext, SpaceNetwork } from "./ruleset.js";
import type { Findings } from "./scripts.js";
import { SpareAddresses } from "./spare-addresses.js";

/** How often the rules are looked at where looking costs a few processes, and where it costs a container. */
const CHECK_MS = 15_000;
const HELPER_CHECK_MS = 45_000;
/** After the last address was given out, before others are admitted in advance. */
const RESTOCK_MS = 300;
/** So many times what would be admitted in advance must be free. */
const SPARE_SHARE = 8;

interface Parts {
  engine: Engine;
  names: Names;
  log: FastifyBaseLogger;
  /** An image with a shell and iptables, for where the daemon can't set rules itself. */
  helperImage: string;
  /** As CIDR; the engine chooses where unset. */
  subnet?: string | undefined;
  specs: Pick<SpecReader, "read">;
}

/** The network of the spaces once its rules are in force. */
interface Up {
  network: SpaceNetwork;
  firewall: Firewall;
  addresses: Addresses;
  resolvers: string[];
}

/** How a space is attached. */
export interface Link {
  network: string;
  /** With the prefix length of its network, as the spec keeps it. */
  address: string;
  /** The space's only resolver, and its way to the domains that its policy lists: its container is made with it. */
  gateway?: string;
}

/** What an address is for. */
type Access = Omit<Admission, "address">;

/**
 * Confines what spaces reach. All are attached to one bridge, and a space reaches nothing from there until it is
 * admitted; then what its own policy says. Rules hold in the engine's network namespace, whatever runs in a space.
 */
export class NetworkService {
  #up: Promise<Up> | undefined;
  /** By address: what should hold, and what the kernel has. */
  #wanted = new Map<string, Access>();
  #applied = new Map<string, Access>();
  readonly #domains: DomainAccess;
  readonly #spares = new SpareAddresses();
  #restocking: NodeJS.Timeout | undefined;
  #serial: Promise<unknown> = Promise.resolve();
  #sync: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #checkedAt: Date | undefined;
  #problem: string | undefined;
  #restored: (lost: string[]) => void = () => {};

  constructor(private readonly parts: Parts) {
    this.#domains = new DomainAccess(parts);
  }

  /** Calls `listener` after rules that somebody took out were put back, with what was lost. */
  onRestored(listener: (lost: string[]) => void): void {
    this.#restored = listener;
  }

  /** Calls `listener` with what lists of domains kept spaces from; not with every repetition. */
  onDenied(listener: (denial: ReportedDenial) => void): void {
    this.#domains.onDenied(listener);
  }

  /** Puts the rules in force where the network is there already, and watches over them from now on. */
  async start(): Promise<void> {
    await this.check().catch(this.#complain);
    this.#watch(CHECK_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#restocking);
    this.#domains.stop();
  }

  /** Resolves when a space that starts reaches what it is admitted to and nothing else. Throws `unprocessable` with why that can't be had. */
  async ready(spec: SpaceSpec): Promise<void> {
    const { network } = await this.#raise();
    const { gateway, allowDomains } = spec;
    if (gateway) await this.#domains.serve(network, gateway, allowDomains).catch(refuse);
  }

  /**
   * An address for a space that is to be made, which reaches nothing before `admit`, or what this very policy says. It is
   * given back by `release`. A container that is made for a space to come can have one too, where that space's policy
   * names the same gateway or none.
   * Throws `unprocessable` where no policy can be enforced.
   */
  async lease(spec: SpaceSpec): Promise<Link | undefined> {
    const policy = policyOf(spec);
    if (!policy) return undefined;
    const { network, addresses } = await this.#raise();
    const take = () => takeFrom(addresses, this.#spares, network);
    const address = policy.allowDomains ? take() : (this.#spares.take(policy) ?? take());
    this.#restockSoon();
    const link = {
      network: network.name,
      address: `${address}${network.subnet.slice(network.subnet.indexOf("/"))}`,
    };
    if (!policy.allowDomains) return link;
    try {
      const gateway = this.#domains.gatewayOf(policy) ?? take();
      this.#domains.join(gateway, policy, address);
      this.#wanted.set(gateway, { policy: gatewayPolicy(policy) });
      await this.#synchronize();
      await this.#domains.serve(network, gateway, policy.allowDomains).catch(refuse);
      return { ...link, gateway };
    } catch (error) {
      this.release(address);
      throw error;
    }
  }

  /** Opens to a space what its policy lets it reach. A space without network needs nothing. */
  async admit(spec: SpaceSpec): Promise<void> {
    const policy = policyOf(spec);
    if (!policy || spec.address === undefined) return;
    const admission = { address: bare(spec.address), policy, gateway: spec.gateway };
    if (isIn(this.#wanted, admission) && isIn(this.#applied, admission)) return;
    this.#wanted.set(admission.address, { policy, gateway: spec.gateway });
    await this.#synchronize();
  }

  #restockSoon(): void {
    clearTimeout(this.#restocking);
    if (this.#stopped) return;
    this.#restocking = setTimeout(() => {
      this.#restock().catch((error: unknown) =>
        this.parts.log.warn({ err: error }, "could not admit addresses in advance"),
      );
    }, RESTOCK_MS).unref();
  }

  /** Admits some addresses more of the policies that were asked for lately. */
  async #restock(): Promise<void> {
    const { addresses } = await this.#raise();
    for (const address of this.#spares.forgetOld()) this.release(address);
    const added: [NetworkPolicy, string[]][] = [];
    for (const { policy, count } of this.#spares.wanting()) {
      // A small network is for spaces alone.
      if (addresses.free < SPARE_SHARE * count) continue;
      const taken = Array.from({ length: count }, () => addresses.take());
      const there = taken.filter((address) => address !== undefined);
      for (const address of there) this.#wanted.set(address, { policy });
      added.push([policy, there]);
    }
    if (added.length === 0) return;
    try {
      await this.#synchronize();
    } catch (error) {
      for (const [, there] of added) for (const address of there) this.release(address);
      throw error;
    }
    for (const [policy, there] of added) this.#spares.add(policy, there);
  }

  /** Closes everything to an address that nobody has any more; it is handed out again once that holds. */
  release(address: string | undefined): void {
    if (address === undefined) return;
    const gateway = this.#domains.leave(bare(address));
    const gone = gateway === undefined ? [bare(address)] : [bare(address), gateway];
    for (const each of gone) this.#wanted.delete(each);
    void this.#synchronize()
      .then(async () => {
        if (gateway) await this.#domains.tidy();
        const up = await this.#up;
        for (const each of gone) up?.addresses.giveBack(each);
      })
      .catch((error: unknown) => this.parts.log.warn({ err: error }, "could not close an address"));
  }

  /** Why the rules could not be looked at, or not be put back, when that was tried last; undefined where all is well. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** What enforces policies and since when that is known to hold; undefined before the first space with a network. */
  async enforcement(): Promise<{ by: string; checkedAt: Date } | undefined> {
    const up = await this.#up?.catch(() => undefined);
    if (!up || !this.#checkedAt) return undefined;
    return { by: `iptables, by ${up.firewall.place}`, checkedAt: this.#checkedAt };
  }

  /** Makes the network again that was removed while this space was stopped, and attaches the space to it. */
  async reattach(containerId: string, spec: SpaceSpec): Promise<void> {
    await this.check();
    const { network } = await this.#raise();
    if (spec.address === undefined) return;
    await this.parts.engine.reconnect(containerId, network.name, bare(spec.address));
  }

  /** Looks whether all rules are there, puts back what is missing, and tells the listener. */
  async check(): Promise<void> {
    const { engine, names } = this.parts;
    const exists = (await findNetwork(engine, names)) !== undefined;
    if (!exists && !this.#up) {
      this.#problem = undefined;
      return;
    }
    await this.#inTurn(async () => {
      try {
        const up = await this.#raise();
        // The engine's own clean-up takes networks away that no running container uses.
        if (!exists) await makeNetwork(engine, names, up.network);
        await this.#restore(up, !exists);
        await this.#domains.serveAll(up.network);
        this.#problem = undefined;
      } catch (error) {
        // The next create tries to raise it, and is refused where that fails.
        this.#up = undefined;
        throw error;
      }
    });
  }

  async #restore(up: Up, remade: boolean): Promise<void> {
    const found = await up.firewall.look();
    this.#domains.readNotes(found.refused);
    const lost = faults(found, contextOf(up), admissions(this.#applied));
    const moved = found.resolvers.join() !== up.resolvers.join();
    if (lost.length > 0 || moved || remade) {
      up.resolvers = found.resolvers;
      await this.#build(up, found);
    }
    this.#checkedAt = new Date();
    if (lost.length === 0) return;
    this.parts.log.warn({ lost }, "rules of the spaces' network were gone and are back");
    this.#restored(lost);
  }

  async #build(up: Up, found: Findings): Promise<void> {
    // What comes to be wanted meanwhile is not built yet.
    const wanted = new Map(this.#wanted);
    await up.firewall.build(contextOf(up), admissions(wanted), found);
    this.#applied = wanted;
  }

  #complain = (error: unknown) => {
    this.#problem = error instanceof Error ? error.message : String(error);
    this.parts.log.error({ err: error }, "the rules of the spaces' network could not be checked");
  };

  #watch(afterMs: number): void {
    this.#timer = setTimeout(async () => {
      await this.check().catch(this.#complain);
      const up = await this.#up?.catch(() => undefined);
      if (!this.#stopped) this.#watch(up?.firewall.cheap === false ? HELPER_CHECK_MS : CHECK_MS);
    }, afterMs);
    this.#timer.unref();
  }

  async #raise(): Promise<Up> {
    this.#up ??= this.#setUp().catch((cause: unknown) => {
      this.#up = undefined;
      throw cause instanceof Error && cause.name === "EngineError" ? cause : refused(cause);
    });
    return await this.#up;
  }

  async #setUp(): Promise<Up> {
    const { engine, names, log, helperImage } = this.parts;
    const spaces = await this.#spacesThere();
    const network =
      (await findNetwork(engine, names)) ??
      (await makeNetwork(engine, names, {
        subnet: spaces[0]?.address ?? this.parts.subnet,
      }));
    const firewall = await openFirewall(engine, names, network, helperImage);
    const found = await firewall.look();
    if (!found.hasBridge) {
      throw new Error(`the engine's network can't be reached from ${firewall.place}`);
    }
    const addresses = new Addresses(network.subnet);
    for (const { address, policy, gateway } of spaces) {
      addresses.claim(bare(address));
      if (!policy) continue;
      this.#wanted.set(bare(address), { policy, gateway });
      if (gateway === undefined) continue;
      this.#wanted.set(gateway, { policy: gatewayPolicy(policy) });
      this.#domains.join(gateway, policy, bare(address));
    }
    for (const address of [network.gateway, ...this.#wanted.keys()]) addresses.claim(address);
    const up = { network, firewall, addresses, resolvers: found.resolvers };
    await this.#build(up, found);
    this.#checkedAt = new Date();
    await this.#domains.tidy();
    log.info(
      { network: network.name, subnet: network.subnet, by: firewall.place },
      "network rules hold",
    );
    return up;
  }

  /** What containers say of themselves, unfinished and stopped ones too; those that wait to become spaces have no policy. */
  async #spacesThere(): Promise<(Omit<Admission, "policy"> & Partial<Admission>)[]> {
    const { engine, names, specs } = this.parts;
    const containers = await engine.listContainers(names.ours);
    const told = containers.map(async (container) => {
      const { spec } = (await specs.read(container)) ?? {};
      const address = spec?.address ?? container.labels[LABEL.pool];
      const policy = spec && policyOf(spec);
      return address ? [{ address, ...(policy ? { policy } : {}), gateway: spec?.gateway }] : [];
    });
    return (await Promise.all(told)).flat();
  }

  /** Brings the kernel's rules to what is wanted by now; those who ask meanwhile share one pass. */
  async #synchronize(): Promise<void> {
    this.#sync ??= this.#inTurn(async () => {
      this.#sync = undefined;
      const up = await this.#raise();
      const wanted = new Map(this.#wanted);
      const change = {
        admit: admissions(wanted).filter((each) => !isIn(this.#applied, each)),
        dismiss: admissions(this.#applied).filter((each) => !isIn(wanted, each)),
      };
      if (change.admit.length + change.dismiss.length === 0) return;
      try {
        await up.firewall.change(contextOf(up), change);
      } catch (error) {
        this.parts.log.warn({ err: error }, "network rules are built anew");
        await up.firewall.build(contextOf(up), admissions(wanted), await up.firewall.look());
      }
      this.#applied = wanted;
    });
    await this.#sync.catch(refuse);
  }

  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#serial.then(task, task);
    this.#serial = turn.catch(() => {});
    return await turn;
  }
}

const contextOf = ({ network, resolvers }: Up): RuleContext => ({ network, resolvers });
const bare = (address: string) => address.split("/")[0] ?? address;
const admissions = (accesses: Map<string, Access>): Admission[] =>
  [...accesses].map(([address, access]) => ({ address, ...access }));

function isIn(accesses: Map<string, Access>, { address, policy, gateway }: Admission): boolean {
  const other = accesses.get(address);
  return other !== undefined && idOf(other) === idOf({ policy, gateway });
}

const idOf = ({ policy, gateway = "" }: Access) => `${policyId(policy)} ${gateway}`;

function takeFrom(addresses: Addresses, spares: SpareAddresses, network: SpaceNetwork): string {
  const address = addresses.take() ?? spares.takeAny();
  if (address !== undefined) return address;
  throw new ClawdspaceError(
    "insufficient_resources",
    `The network of the spaces, ${network.subnet}, has no free address. Remove a space first.`,
  );
}

function refuse(cause: unknown): never {
  throw refused(cause);
}

function refused(cause: unknown): ClawdspaceError {
  if (cause instanceof ClawdspaceError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ClawdspaceError(
    "unprocessable",
    `The network policy can't be enforced on this node: ${reason}. A template with network.mode none needs no rules.`,
    { cause },
  );
}
