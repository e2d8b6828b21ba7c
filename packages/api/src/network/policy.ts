import { createHash } from "node:crypto";
import type { NetworkMode } from "@clawdspace/protocol";
import ipaddr from "ipaddr.js";

/** What a space may reach, as its spec says it. */
export interface NetworkPolicy {
  mode: Exclude<NetworkMode, "none">;
  blockCidrs: readonly string[];
  allowCidrs: readonly string[];
  /** Given, the space reaches these names by HTTP and HTTPS, what `allowCidrs` opens, and nothing else. */
  allowDomains?: readonly string[];
}

export interface Verdict {
  cidr: string;
  allow: boolean;
}

/** Where clouds serve credentials and data of their machines. */
const METADATA = [
  "169.254.169.254/32",
  "169.254.170.2/32",
  "100.100.100.200/32",
  "168.63.129.16/32",
  "192.0.0.192/32",
];
/** Never meant in any mode: this host, link-local, multicast, reserved. */
const SPECIAL = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"];
const PRIVATE = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
];

/** The policy in a spec's words; undefined where the space has no network at all. */
export function policyOf(spec: {
  network: NetworkMode;
  blockCidrs?: string[] | undefined;
  allowCidrs?: string[] | undefined;
  allowDomains?: string[] | undefined;
}): NetworkPolicy | undefined {
  const { network, blockCidrs = [], allowCidrs = [], allowDomains } = spec;
  if (network === "none") return undefined;
  return { mode: network, blockCidrs, allowCidrs, ...(allowDomains ? { allowDomains } : {}) };
}

/**
 * The IPv4 ranges that a policy decides on, most specific first: the first that holds an address decides, and an
 * address that none holds is reached. At equal size the template's block wins over its allowance, and that over what
 * is always blocked; so metadata addresses open only to an allowance that names the one address.
 */
export function verdicts(policy: NetworkPolicy): Verdict[] {
  const ranked = [
    ...policy.blockCidrs.filter(isV4).map((cidr) => ({ cidr, allow: false })),
    ...policy.allowCidrs.filter(isV4).map((cidr) => ({ cidr, allow: true })),
    ...[...METADATA, ...SPECIAL, ...(policy.mode === "internet" ? PRIVATE : [])].map((cidr) => ({
      cidr,
      allow: false,
    })),
    ...(policy.allowDomains ? [{ cidr: "0.0.0.0/0", allow: false }] : []),
  ].map(({ cidr, allow }) => ({ cidr: canonical(cidr), allow }));
  const seen = new Set<string>();
  return ranked
    .filter(({ cidr }) => !seen.has(cidr) && seen.add(cidr))
    .sort((a, b) => prefixOf(b.cidr) - prefixOf(a.cidr));
}

/** What the policy refuses, for people to read: IPv4 as enforced, and all of IPv6, which spaces don't have. */
export const blockedCidrs = (policy: NetworkPolicy): string[] => [
  ...verdicts(policy)
    .filter(({ allow }) => !allow)
    .map(({ cidr }) => cidr),
  "::/0",
];

/** Single addresses that a policy opens, which may be the node's own. */
export const openedAddresses = (policy: NetworkPolicy): string[] =>
  verdicts(policy)
    .filter(({ cidr, allow }) => allow && prefixOf(cidr) === 32)
    .map(({ cidr }) => cidr);

/** Equal for policies that decide alike; 8 hex digits. */
export const policyId = (policy: NetworkPolicy): string =>
  createHash("sha256")
    .update(JSON.stringify([[...(policy.allowDomains ?? [])].sort(), verdicts(policy)]))
    .digest("hex")
    .slice(0, 8);

/** What the gateway may reach that stands between a space with such a policy and the names on its list. */
export const gatewayPolicy = ({ mode, blockCidrs, allowCidrs }: NetworkPolicy): NetworkPolicy => ({
  mode,
  blockCidrs,
  allowCidrs,
});

/** Whether a policy refuses an IPv4 address. */
export function refuses(policy: NetworkPolicy, address: string): boolean {
  const ip = ipaddr.IPv4.parse(address);
  const first = verdicts(policy).find(({ cidr }) => ip.match(ipaddr.IPv4.parseCIDR(cidr)));
  return first !== undefined && !first.allow;
}

const isV4 = (cidr: string) => !cidr.includes(":");
const prefixOf = (cidr: string) => Number(cidr.slice(cidr.indexOf("/") + 1));
const canonical = (cidr: string) =>
  `${ipaddr.IPv4.networkAddressFromCIDR(cidr).toString()}/${prefixOf(cidr)}`;
