import { ClawdspaceError, type Node, type NodeState, type PeerStatus } from "@clawdspace/protocol";
import type { PeerLink } from "./peer-link.js";
import type { Machine } from "./tailscale.js";

/** Another node, or a machine that may become one. */
export interface Peer {
  machine: Machine;
  link: PeerLink;
  state: NodeState;
  reason: string | undefined;
  status: PeerStatus | undefined;
  latencyMs: number | null;
  lastSeenAt: number | undefined;
  /** How often it has failed in a row, and how many looks pass before it is asked again. */
  failures: number;
  skip: number;
  /** How often it has answered in a row, and how often it went away since it last stayed. */
  steady: number;
  flaps: number;
  probedAt: number;
  probing: Promise<void> | undefined;
  /** Aborted when the node is found gone, for the requests that wait for it. */
  gone: AbortController;
  /** What is told of it, as JSON, where nothing has changed since. */
  told: string | undefined;
  /** Requests under way, and when a byte of any last moved. */
  active: number;
  movedAt: number;
}

export const newPeer = (machine: Machine, link: PeerLink): Peer => ({
  machine,
  link,
  state: "offline",
  reason: "It hasn't been asked yet.",
  status: undefined,
  latencyMs: null,
  lastSeenAt: undefined,
  ...{ failures: 0, skip: 0, steady: 0, flaps: 0 },
  probedAt: 0,
  probing: undefined,
  gone: new AbortController(),
  told: undefined,
  active: 0,
  movedAt: 0,
});

type Seen = Pick<Peer, "state" | "reason" | "latencyMs"> &
  Partial<Pick<Peer, "status" | "lastSeenAt">>;

/** Takes in what is told of a node from now on. */
export function see(peer: Peer, seen: Seen): void {
  Object.assign(peer, seen, { told: undefined });
}

/** What is answered where a node that is needed isn't there. */
export const unreachable = ({ machine, state, reason }: Peer, cause?: Error) =>
  new ClawdspaceError(
    "node_unreachable",
    `Node "${machine.name}" can't be used (${state}): ${reason ?? "no answer"} GET /api/nodes shows all.`,
    { cause },
  );

/** As `toNode`, as JSON, which is made once for each change. */
export function toText(peer: Peer): string {
  peer.told ??= JSON.stringify(toNode(peer));
  return peer.told;
}

/** A node as `GET /api/nodes` tells it. */
export function toNode(peer: Peer): Node {
  const { machine, state, reason, status, latencyMs, lastSeenAt } = peer;
  const online = state === "online";
  return {
    name: machine.name,
    url: machine.url,
    self: false,
    status: online ? "online" : "offline",
    state,
    latencyMs,
    ...(reason === undefined ? {} : { reason }),
    ...(lastSeenAt === undefined ? {} : { lastSeenAt }),
    ...(status && online
      ? { version: status.version, capabilities: status.capabilities, load: status.load }
      : {}),
  };
}
