import { type NetworkPolicy, openedAddresses, policyId, verdicts } from "./policy.js";
import type { Admission, Chains, RuleContext } from "./ruleset.js";

/** How long the kernel keeps a note of what was refused, from the last time on. */
export const NOTES_KEPT_SECONDS = 120;

/** Matches what is refused and notes from where to where it was to go, in a file of /proc/net/ipt_hashlimit. */
const noteIn = (name: string) =>
  [
    "-m hashlimit --hashlimit-above 1/day --hashlimit-burst 1",
    `--hashlimit-mode srcip,dstip,dstport --hashlimit-name ${name}`,
    `--hashlimit-htable-max 2048 --hashlimit-htable-expire ${NOTES_KEPT_SECONDS}000`,
  ].join(" ");

/** The chains of all policies, each once. */
export function allPolicyChains(
  context: RuleContext,
  chains: Chains,
  admissions: readonly Admission[],
): [string, string[]][] {
  const byPolicy = new Map(admissions.map((each) => [policyId(each.policy), each]));
  return [...byPolicy].flatMap(([id, { policy, gateway }]) =>
    policy.allowDomains
      ? listChains(context, chains, id, policy, gateway)
      : policyChains(context, chains, id, policy),
  );
}

const DNAT = "-m conntrack --ctstate DNAT";

function policyChains(
  { resolvers, network }: RuleContext,
  chains: Chains,
  id: string,
  policy: NetworkPolicy,
): [string, string[]][] {
  const refuse = `-j ${chains.refuse}`;
  const dns = resolvers.flatMap((resolver) =>
    ["udp", "tcp"].map((p) => `-d ${resolver}/32 -p ${p} -m ${p} --dport 53 -j RETURN`),
  );
  // A connection to one of the node's own addresses that is forwarded to a container behind a published port.
  const published = `${DNAT} ${refuse}`;
  const others = `-o ${network.bridge} ${refuse}`;
  return [
    [chains.out(id), [others, ...dns, published, ...decisions(policy, refuse)]],
    [chains.node(id), [...dns, ...opened(policy), refuse]],
  ];
}

/** With a list of domains: the gateway, what `allowCidrs` opens, and nothing else; not even the resolver. */
function listChains(
  { network }: RuleContext,
  chains: Chains,
  id: string,
  policy: NetworkPolicy,
  gateway: string | undefined,
): [string, string[]][] {
  const refuse = `-j ${chains.noted(id)}`;
  // Accepted here, since the engine's own rules refuse what goes from container to container.
  const proxies = gateway
    ? ["udp 53", "tcp 53", "tcp 80", "tcp 443"].map((each) => {
        const [protocol, port] = each.split(" ");
        return `-d ${gateway}/32 -p ${protocol} -m ${protocol} --dport ${port} -j ACCEPT`;
      })
    : [];
  return [
    [chains.noted(id), [`${noteIn(chains.noted(id))} -j ${chains.refuse}`, `-j ${chains.refuse}`]],
    [
      chains.out(id),
      [
        ...proxies,
        `-o ${network.bridge} ${refuse}`,
        `${DNAT} ${refuse}`,
        ...decisions(policy, refuse),
      ],
    ],
    [chains.node(id), [...opened(policy), refuse]],
  ];
}

const decisions = (policy: NetworkPolicy, refuse: string) =>
  verdicts(policy).map(({ cidr, allow }) => {
    const to = cidr === "0.0.0.0/0" ? "" : `-d ${cidr} `;
    return `${to}${allow ? "-j RETURN" : refuse}`;
  });

const opened = (policy: NetworkPolicy) =>
  openedAddresses(policy).map((cidr) => `-d ${cidr} -j RETURN`);
