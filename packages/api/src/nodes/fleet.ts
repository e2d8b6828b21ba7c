import { setTimeout as delay } from "node:timers/promises";
import {
  ClawdspaceError,
  type Node,
  type NodeList,
  type NodeState,
  type PeerStatus,
} from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import { within } from "../within.js";
import type { Discovered } from "./discovery.js";
import { newPeer, type Peer, see, toNode, toText, unreachable } from "./peer.js";
import { PeerFault, PeerLink, toFault } from "./peer-link.js";
import type { Machine } from "./tailscale.js";

/** How long one node may take to answer; no other waits for it. */
const PROBE_MS = 3000;
/** The first looks: daemons that are started together find each other before the usual time is over. */
const SOON_MS = [1000, 3000];
/** A machine that doesn't answer is asked less and less often, at most by this factor. */
const MAX_BACKOFF = 8;
/** Answers in a row after which earlier failures no longer count. */
const STEADY = 3;
/** How often a node may have come and gone so that it is asked at once when it calls. */
const MAX_FLAPS = 3;
/** A node with open streams that has been silent for so long is asked whether it lives. */
const SILENCE_MS = 5000;
/** How often a node that is thought to be gone is asked for the sake of requests. */
const REVIVE_MS = 200;

export interface FleetOptions {
  /** 0 looks once, at the start, and never again by itself. */
  refreshMs: number;
  discover: () => Promise<Discovered>;
  /** This node's name where the tailnet or the list of nodes gives it none. */
  name: string;
  url: string;
  /** An HTTP proxy by way of which the others are reached. */
  proxy: string | undefined;
  secret: () => Promise<Buffer>;
  /** Of this run of the daemon: by it a node is found to be this one. */
  instance: string;
  status: () => Promise<Omit<PeerStatus, "node">>;
  onChange: (change: { node: string; online: boolean; reason: string | undefined }) => void;
  log: FastifyBaseLogger;
}

const SAID_OFFLINE = "The tailnet says so.";

/** One round of questions; `answered` is resolved when all have been answered or have failed, and is never rejected. */
interface Look {
  answered: Promise<void>;
}

/** The nodes of one fleet as this one sees them: looked for and asked in the background, told from memory. */
export class Fleet {
  readonly #peers = new Map<string, Peer>();
  readonly #holders = new Map<string, Peer[]>();
  readonly #stop = new AbortController();
  #self: Machine;
  #own: Omit<PeerStatus, "node"> | undefined;
  #updatedAt = 0;
  #problem: string | undefined;
  #looking: Promise<Look> | undefined;
  #watching: NodeJS.Timeout | undefined;

  constructor(private readonly options: FleetOptions) {
    this.#self = { name: options.name, url: options.url, self: true, online: true };
  }

  /** This node's name, as the others know it. */
  get name(): string {
    return this.#self.name;
  }

  /**
   * At which address another node has reached this one, by that of the socket: without an interface of its own Tailscale hands on,
   * from the loopback, what came to this machine's address in the tailnet.
   */
  reachedAt(local: string): string {
    const { handsOn, address } = this.#self;
    return handsOn && address !== undefined && /^(?:127\.|::1$)/.test(local) ? address : local;
  }

  start(): void {
    void (async () => {
      const soon = [...SOON_MS];
      do {
        // A node that hangs doesn't hold up the next look at the others.
        await this.#look();
        const usual = this.options.refreshMs || 2 ** 31 - 1;
        const wait = Math.min(soon.shift() ?? usual, usual);
        await delay(wait, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {});
      } while (!this.#stop.signal.aborted);
    })();
    this.#watching = setInterval(() => this.#watch(), SILENCE_MS / 5).unref();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearInterval(this.#watching);
    for (const peer of this.#peers.values()) peer.gone.abort(new Error("the daemon ends"));
    await Promise.all([...this.#peers.values()].map(({ link }) => link.close()));
  }

  list(): NodeList {
    return {
      nodes: [this.#ownNode(), ...this.peers().map(toNode)],
      ...this.#about(),
    };
  }

  /** As `list`, as JSON: of a node of which nothing has changed it is no work to tell. */
  text(): string {
    const nodes = [JSON.stringify(this.#ownNode()), ...this.peers().map(toText)];
    return `{"nodes":[${nodes.join(",")}],${JSON.stringify(this.#about()).slice(1)}`;
  }

  /** Every node but this one that can be used now. */
  online(): Peer[] {
    return [...this.#peers.values()].filter(({ state }) => state === "online");
  }

  /** The names of those that have GPUs. */
  withGpus(): string[] {
    const have = this.online().filter(({ status }) => (status?.load.gpus.length ?? 0) > 0);
    return have.map(({ machine }) => machine.name);
  }

  /** Every node but this one. */
  peers(): Peer[] {
    return [...this.#peers.values()];
  }

  /** Nodes that have, or had when they were last heard of, a space of this name; this one left out. */
  holders(space: string): Peer[] {
    return this.#holders.get(space) ?? [];
  }

  /** Takes in that a node has got a space, or has none of that name any more, before it says so itself. */
  learn(peer: Peer, space: string, has: boolean): void {
    if (!peer.status) return;
    const others = peer.status.spaces.filter((name) => name !== space);
    peer.status = { ...peer.status, spaces: has ? [...others, space] : others };
    this.#index();
  }

  #index(): void {
    this.#holders.clear();
    for (const peer of this.peers()) {
      for (const space of peer.status?.spaces ?? []) {
        const holders = this.#holders.get(space);
        if (holders) holders.push(peer);
        else this.#holders.set(space, [peer]);
      }
    }
  }

  /** Asks a node that is thought to be gone whether it is back, for a request that needs it. Never rejects. */
  async revive(peer: Peer): Promise<void> {
    if (peer.state !== "online" && Date.now() - peer.probedAt > REVIVE_MS) await this.probe(peer);
  }

  /** As `peer`, of a node that must be there: one that is thought to be gone is asked first. */
  async wanted(name: string): Promise<Peer | undefined> {
    const peer = this.#peers.get(name);
    if (peer) await this.revive(peer);
    return this.peer(name);
  }

  /** The node of a name; undefined where that is this one. Throws `not_found`, or `node_unreachable` where it isn't online. */
  peer(name: string): Peer | undefined {
    if (name === this.name) return undefined;
    const peer = this.#peers.get(name);
    if (!peer) {
      const known = [this.name, ...this.#peers.keys()].join(", ");
      throw new ClawdspaceError("not_found", `There is no node "${name}". There are: ${known}.`);
    }
    if (peer.state !== "online") throw unreachable(peer);
    return peer;
  }

  /** Looks for nodes and asks each how it is. Resolves when all have answered or failed. Never rejects. */
  async refresh(): Promise<void> {
    await (await this.#look()).answered;
  }

  /** Takes in how this node is now. Never rejects. */
  async refreshOwn(): Promise<void> {
    this.#own = await this.options.status().catch(() => this.#own);
  }

  /** Asks one node anew how it is, and resolves when that is known. Never rejects. */
  async probe(peer: Peer): Promise<void> {
    peer.probing ??= this.#probe(peer).finally(() => {
      peer.probedAt = Date.now();
      peer.probing = undefined;
    });
    await peer.probing;
  }

  /** Takes note that a node has called: one that was gone is asked at once. */
  heard(node: string): void {
    const peer = this.#peers.get(node);
    if (!peer || peer.state === "online" || peer.flaps > MAX_FLAPS) return;
    void this.probe(peer);
  }

  /** Looks for nodes, and begins to ask each how it is. Never rejects. */
  async #look(): Promise<Look> {
    this.#looking ??= this.#begin()
      .catch((error: unknown) => {
        this.options.log.error({ err: error }, "looking for nodes failed");
        return { answered: Promise.resolve() };
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return await this.#looking;
  }

  async #begin(): Promise<Look> {
    const { machines, problem } = await this.options.discover();
    this.#problem = problem;
    if (problem === undefined) this.#take(machines);
    const asked = this.peers().map((peer) => this.#due(peer));
    const answered = Promise.all([this.refreshOwn(), ...asked]).then(() => {
      this.#updatedAt = Date.now();
    });
    return { answered };
  }

  /** Asks a node how it is where it is its turn. Never rejects. */
  async #due(peer: Peer): Promise<void> {
    const turn = peer.skip === 0;
    if (!turn) peer.skip--;
    if (peer.machine.online) {
      if (turn) await this.probe(peer);
    } else if (peer.state === "online") this.#lost(peer, "offline", SAID_OFFLINE);
    else see(peer, { state: "offline", reason: SAID_OFFLINE, latencyMs: null });
  }

  #take(machines: Machine[]): void {
    const self = machines.find((machine) => machine.self || machine.url === this.#self.url);
    if (self) this.#self = { ...self, self: true };
    const others = machines.filter((machine) => !machine.self && machine.url !== this.#self.url);
    for (const machine of others) {
      const known = this.#peers.get(machine.name);
      if (known?.machine.url === machine.url) known.machine = machine;
      else {
        if (known) this.#drop(known);
        this.#peers.set(machine.name, this.#make(machine));
      }
    }
    const names = new Set(others.map(({ name }) => name));
    for (const peer of this.peers()) if (!names.has(peer.machine.name)) this.#drop(peer);
  }

  #make(machine: Machine): Peer {
    const { url, address } = machine;
    const { secret, proxy } = this.options;
    return newPeer(machine, new PeerLink({ url, address, proxy, secret, self: () => this.name }));
  }

  #drop(peer: Peer): void {
    this.#lost(peer, "offline", "It is no node any more.");
    this.#peers.delete(peer.machine.name);
    this.#index();
    void peer.link.close().catch(() => {});
  }

  async #probe(peer: Peer): Promise<void> {
    const begun = performance.now();
    const askedAt = Date.now();
    const { signal } = this.#stop;
    try {
      const status = await this.#ask(peer);
      if (peer.link.instance === this.options.instance) {
        // The list of nodes names this one too, and so says what it is called.
        this.#self = { ...peer.machine, self: true };
        this.#drop(peer);
        return;
      }
      this.#found(peer, status, Math.round((performance.now() - begun) * 10) / 10);
    } catch (error) {
      if (signal.aborted) return;
      // It is busy, not gone, where what was asked of it before still moves.
      if (peer.state === "online" && peer.active > 0 && peer.movedAt > askedAt) return;
      const { state, message } =
        error instanceof PeerFault ? error : toFault(error, peer.machine.url);
      this.#lost(peer, state, message);
    }
  }

  /** One that was there a moment ago is asked twice: a packet, or a second of a busy machine, is soon lost. */
  async #ask(peer: Peer): Promise<PeerStatus> {
    const ask = () => peer.link.status(within(PROBE_MS, this.#stop.signal));
    const tries = peer.state === "online" ? 2 : 1;
    return await ask().catch(async (error: unknown) => {
      if (tries === 1 || this.#stop.signal.aborted) throw error;
      return await ask();
    });
  }

  #found(peer: Peer, status: PeerStatus, latencyMs: number): void {
    const before = peer.state;
    const lastSeenAt = Date.now();
    see(peer, { state: "online", reason: undefined, status, latencyMs, lastSeenAt });
    peer.skip = 0;
    this.#index();
    // One that comes and goes is asked less often, until it has stayed for a while.
    if (++peer.steady >= STEADY) Object.assign(peer, { failures: 0, flaps: 0 });
    if (before === "online") return;
    peer.gone = new AbortController();
    this.options.onChange({ node: peer.machine.name, online: true, reason: undefined });
  }

  #lost(peer: Peer, state: Exclude<NodeState, "online">, reason: string): void {
    const before = peer.state;
    peer.failures++;
    peer.steady = 0;
    peer.skip = Math.min(MAX_BACKOFF, 2 ** Math.min(peer.failures - 1, 10)) - 1;
    see(peer, { state, reason, latencyMs: null });
    if (before !== "online") return;
    peer.flaps++;
    peer.gone.abort(unreachable(peer));
    this.options.onChange({ node: peer.machine.name, online: false, reason });
  }

  /** Streams to a node that was cut off would wait for ever: nothing tells that their other end is gone. */
  #watch(): void {
    const silentSince = Date.now() - SILENCE_MS;
    for (const peer of this.online()) {
      if (peer.active > 0 && Math.max(peer.movedAt, peer.probedAt) < silentSince) {
        void this.probe(peer);
      }
    }
  }

  #about(): Omit<NodeList, "nodes"> {
    return {
      lastUpdatedAt: this.#updatedAt,
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    };
  }

  #ownNode(): Node {
    const { name, url } = this.#self;
    return {
      name,
      url,
      self: true,
      status: "online",
      state: "online",
      latencyMs: 0,
      ...(this.#own ? { version: this.#own.version, lastSeenAt: this.#updatedAt } : {}),
      ...(this.#own ? { capabilities: this.#own.capabilities, load: this.#own.load } : {}),
    };
  }
}
