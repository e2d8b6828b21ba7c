import { createHash } from "node:crypto";
import { type NetworkPolicy, policyId } from "./policy.js";
import { allPolicyChains } from "./policy-chains.js";
import type { SavedTable } from "./saved-table.js";

/** Where the spaces of one daemon are attached. */
export interface SpaceNetwork {
  name: string;
  /** The bridge's interface on the engine's node. */
  bridge: string;
  /** As CIDR. */
  subnet: string;
  gateway: string;
}

/** A space's address and what it may reach from there. */
export interface Admission {
  address: string;
  policy: NetworkPolicy;
  /** Where its policy lists domains: the address of the gateway that stands between it and them. */
  gateway?: string | undefined;
}

export interface RuleContext {
  network: SpaceNetwork;
  /** Resolvers of the node, which spaces may ask also where their addresses are blocked. */
  resolvers: readonly string[];
}

const ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN";

/** The names of our chains. All begin alike, so that everything of ours is found by it; one daemon's differ from another's. */
export class Chains {
  readonly prefix: string;
  constructor(bridge: string) {
    this.prefix = `CLAWD-${bridge.replace(/^cs-/, "")}-`;
  }
  get refuse() {
    return `${this.prefix}NO`;
  }
  /** From spaces to elsewhere. */
  get forward() {
    return `${this.prefix}FWD`;
  }
  /** From elsewhere to spaces. */
  get toSpaces() {
    return `${this.prefix}TO`;
  }
  /** From spaces to the node itself. */
  get input() {
    return `${this.prefix}IN`;
  }
  /** What keeps apart on the bridge itself. */
  get bridged() {
    return `${this.prefix}L2`;
  }
  /** Refuses, and notes what, for policies that list domains. */
  noted = (id: string) => `${this.prefix}D-${id}`;
  /** What a policy decides on traffic to elsewhere. */
  out = (id: string) => `${this.prefix}P-${id}`;
  /** What a policy decides on traffic to the node. */
  node = (id: string) => `${this.prefix}N-${id}`;
}

/** A daemon's bridge; no longer than the 15 characters that an interface's name may have. */
export const bridgeName = (namespace: string) =>
  `cs-${createHash("sha256").update(namespace).digest("hex").slice(0, 8)}`;

interface Hook {
  chain: string;
  rule: string;
}

/** Where the kernel enters our chains. FORWARD repeats DOCKER-USER, so that spaces stay confined while that is flushed. */
export function hooks(network: SpaceNetwork, table: SavedTable): Hook[] {
  const chains = new Chains(network.bridge);
  const from = `-i ${network.bridge} -j ${chains.forward}`;
  const to = `-o ${network.bridge} -j ${chains.toSpaces}`;
  const forwarding = table.has("DOCKER-USER") ? ["DOCKER-USER", "FORWARD"] : ["FORWARD"];
  return [
    ...forwarding.flatMap((chain) => [
      { chain, rule: from },
      { chain, rule: to },
    ]),
    { chain: "INPUT", rule: `-i ${network.bridge} -j ${chains.input}` },
  ];
}

/** The chains that must be there, with their rules in order: a space that is not admitted reaches nothing. */
export function chainsFor(
  context: RuleContext,
  admissions: readonly Admission[],
): Map<string, string[]> {
  const { network } = context;
  const chains = new Chains(network.bridge);
  const refuse = `-j ${chains.refuse}`;
  const spaces = admissions.map(({ address, policy }) => ({ address, id: policyId(policy) }));
  return new Map([
    // A reset ends a connection attempt at once, where the other answer lets some clients wait for a second.
    [
      chains.refuse,
      ["-p tcp -j REJECT --reject-with tcp-reset", "-j REJECT --reject-with icmp-admin-prohibited"],
    ],
    ...allPolicyChains(context, chains, admissions),
    [
      chains.forward,
      [ESTABLISHED, ...spaces.map(({ address, id }) => forwardRule(chains, address, id)), refuse],
    ],
    // What comes from the bridge itself is for the chain of what spaces send.
    [chains.toSpaces, [ESTABLISHED, `-i ${network.bridge} -j RETURN`, refuse]],
    [
      chains.input,
      [ESTABLISHED, ...spaces.map(({ address, id }) => inputRule(chains, address, id)), refuse],
    ],
  ]);
}

const forwardRule = (chains: Chains, address: string, id: string) =>
  `-s ${address}/32 -g ${chains.out(id)}`;
const inputRule = (chains: Chains, address: string, id: string) =>
  `-s ${address}/32 -g ${chains.node(id)}`;

/**
 * Everything of ours anew, as input for `iptables-restore --noflush`: one transaction, so that at no moment a rule is
 * missing that was there before and stays.
 * @param table what is there now
 */
export function renderAll(
  context: RuleContext,
  admissions: readonly Admission[],
  table: SavedTable,
): string {
  const { network } = context;
  const chains = new Chains(network.bridge);
  const wanted = chainsFor(context, admissions);
  const left = [...table.chains()].filter(
    (chain) => chain.startsWith(chains.prefix) && !wanted.has(chain),
  );
  return table_([
    ...[...wanted.keys()].map((chain) => `:${chain} - [0:0]`),
    ...[...wanted].flatMap(([chain, rules]) => rules.map((rule) => `-A ${chain} ${rule}`)),
    ...placeHooks(hooks(network, table), table),
    ...left.map((chain) => `-F ${chain}`),
    ...left.map((chain) => `-X ${chain}`),
  ]);
}

/** What changes when spaces come and go, as input for `iptables-restore --noflush`. */
export function renderChange(
  context: RuleContext,
  change: { admit: readonly Admission[]; dismiss: readonly Admission[] },
): string {
  const chains = new Chains(context.network.bridge);
  const filled = allPolicyChains(context, chains, change.admit);
  return table_([
    ...filled.map(([chain]) => `:${chain} - [0:0]`),
    ...filled.flatMap(([chain, rules]) => rules.map((rule) => `-A ${chain} ${rule}`)),
    ...change.dismiss.flatMap(({ address, policy }) => [
      `-D ${chains.forward} ${forwardRule(chains, address, policyId(policy))}`,
      `-D ${chains.input} ${inputRule(chains, address, policyId(policy))}`,
    ]),
    // Behind the rules that every space shares, ahead of the last one, which refuses.
    ...change.admit.flatMap(({ address, policy }) => [
      `-I ${chains.forward} 2 ${forwardRule(chains, address, policyId(policy))}`,
      `-I ${chains.input} 2 ${inputRule(chains, address, policyId(policy))}`,
    ]),
  ]);
}

/** Takes everything of ours out. */
export function renderNothing(network: SpaceNetwork, table: SavedTable): string {
  const { prefix } = new Chains(network.bridge);
  const own = [...table.chains()].filter((chain) => chain.startsWith(prefix));
  const entries = [...table.chains()]
    .filter((chain) => !chain.startsWith(prefix))
    .flatMap((chain) =>
      table
        .rules(chain)
        .filter((rule) => rule.includes(` ${prefix}`))
        .map((rule) => `-D ${chain} ${rule}`),
    );
  return table_([
    ...entries,
    ...own.map((chain) => `-F ${chain}`),
    ...own.map((chain) => `-X ${chain}`),
  ]);
}

/** IPv6, which spaces don't have, refused also where somebody switches it on. */
export function renderAllV6(network: SpaceNetwork, table: SavedTable): string {
  const chain = new Chains(network.bridge).refuse;
  return table_([
    `:${chain} - [0:0]`,
    `-A ${chain} -p tcp -j REJECT --reject-with tcp-reset`,
    `-A ${chain} -j REJECT --reject-with icmp6-adm-prohibited`,
    ...placeHooks(hooksV6(network), table),
  ]);
}

export function hooksV6(network: SpaceNetwork): Hook[] {
  const { refuse } = new Chains(network.bridge);
  return [
    { chain: "FORWARD", rule: `-i ${network.bridge} -j ${refuse}` },
    { chain: "FORWARD", rule: `-o ${network.bridge} -j ${refuse}` },
    { chain: "INPUT", rule: `-i ${network.bridge} -j ${refuse}` },
  ];
}

/** Puts hooks that are missing, or that a rule which accepts stands before, at the top of their chains. */
function placeHooks(wanted: Hook[], table: SavedTable): string[] {
  return wanted
    .filter((hook) => !isPlaced(hook, table))
    .flatMap(({ chain, rule }) => [
      ...table
        .rules(chain)
        .filter((each) => each === rule)
        .map(() => `-D ${chain} ${rule}`),
      `-I ${chain} 1 ${rule}`,
    ]);
}

/** Whether a hook is there and no rule before it accepts what it is for. */
export function isPlaced({ chain, rule }: Hook, table: SavedTable): boolean {
  const rules = table.rules(chain);
  const at = rules.indexOf(rule);
  const [, flag = "", bridge = ""] = /^(-[io]) (\S+)/.exec(rule) ?? [];
  const elsewhere = (each: string) => {
    const other = new RegExp(`(^| )${flag} (\\S+)`).exec(each)?.[2];
    return other !== undefined && other !== bridge && !each.includes("!") && !other.endsWith("+");
  };
  return (
    at >= 0 &&
    !rules.slice(0, at).some((each) => /-j ACCEPT$/.test(each) && !elsewhere(each)) &&
    rules.lastIndexOf(rule) === at
  );
}

const table_ = (lines: string[]) => `*filter\n${lines.join("\n")}\nCOMMIT\n`;
