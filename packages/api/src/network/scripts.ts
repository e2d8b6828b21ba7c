import { isIPv4 } from "node:net";
import { type Admission, Chains, type SpaceNetwork } from "./ruleset.js";
import { SavedTable } from "./saved-table.js";

/** What the engine's network namespace has of ours, and of what we need. */
export interface Findings {
  /** The variant of iptables that the engine uses: "iptables", "iptables-nft" or "iptables-legacy". */
  tool: string;
  v4: SavedTable;
  /** undefined where the kernel has no IPv6. */
  v6: SavedTable | undefined;
  /** Whether frames from space to space are dropped on the bridge itself. */
  bridged: boolean;
  /** How many rules let spaces and their gateways meet on the bridge. */
  meetings: number;
  /** What lists of domains refused, as the kernel notes it. */
  refused: string;
  /** Whether what crosses a bridge passes iptables too. */
  bridgeNetfilter: boolean;
  /** Whether the spaces' bridge is an interface here. */
  hasBridge: boolean;
  /** The IPv4 addresses of the node's resolvers. */
  resolvers: string[];
}

/** The mark is no text that any of the tools prints at a line's start. */
const MARK = "@@";

/** Prints what `parseFindings` reads. The engine's variant of iptables is the one that holds its chain DOCKER-USER. */
export const readScript = ({ bridge }: SpaceNetwork) => `
tool=; table=
for t in iptables iptables-nft iptables-legacy; do
  command -v $t-save >/dev/null && command -v $t-restore >/dev/null || continue
  text=$($t-save -t filter 2>/dev/null) || continue
  if [ -z "$tool" ]; then tool=$t; table=$text; fi
  case $text in *":DOCKER-USER "*) tool=$t; table=$text; break;; esac
done
if [ -z "$tool" ]; then echo "no usable iptables is installed"; exit 3; fi
echo "${MARK}tool $tool"
echo "$table"
if [ -e /proc/net/if_inet6 ]; then echo "${MARK}v6"; ip6\${tool#ip}-save -t filter || exit 4; fi
echo "${MARK}bridged $(ebtables -L FORWARD 2>/dev/null | grep -c -- "-j ${bridgedChain(bridge)}")"
echo "${MARK}meetings $(ebtables -L ${bridgedChain(bridge)} 2>/dev/null | grep -c -- "-j RETURN")"
echo "${MARK}refused"
cat /proc/net/ipt_hashlimit/${new Chains(bridge).noted("")}* 2>/dev/null
echo "${MARK}netfilter $(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null)"
echo "${MARK}bridge $(grep -c "^ *${bridge}:" /proc/net/dev)"
for f in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
  [ -r $f ] && sed -n 's/^nameserver */${MARK}nameserver /p' $f
done
true
`;

export function parseFindings(output: string): Findings {
  const sections = output.split(/^@@/m).slice(1);
  const valuesOf = (name: string) =>
    sections.filter((each) => each.startsWith(name)).map((each) => each.slice(name.length).trim());
  const [v4 = ""] = valuesOf("tool ");
  const [v6] = valuesOf("v6");
  const nameservers = valuesOf("nameserver ");
  return {
    tool: v4.slice(0, v4.indexOf("\n")),
    v4: new SavedTable(v4),
    v6: v6 === undefined ? undefined : new SavedTable(v6),
    bridged: Number(valuesOf("bridged ")[0]) >= 1,
    meetings: Number(valuesOf("meetings ")[0]),
    refused: valuesOf("refused")[0] ?? "",
    bridgeNetfilter: valuesOf("netfilter ")[0] === "1",
    hasBridge: Number(valuesOf("bridge ")[0]) >= 1,
    // The engine's own resolver asks those on the loopback for the spaces.
    resolvers: [...new Set(nameservers)].filter((ip) => isIPv4(ip) && !ip.startsWith("127.")),
  };
}

/** Feeds rules to the kernel, each table in one transaction. */
export function applyScript(tool: string, rules: { v4?: string; v6?: string }): string {
  const restore = (command: string, input: string | undefined) =>
    input === undefined
      ? ""
      : `${command}-restore -w 10 --noflush <<'RULES' || exit 5\n${input}RULES\n`;
  return `${restore(tool, rules.v4)}${restore(`ip6${tool.slice(2)}`, rules.v6)}`;
}

const bridgedChain = (bridge: string) => new Chains(bridge).bridged;

/**
 * Keeps spaces apart on their bridge without iptables, which what crosses a bridge passes only while a setting of the
 * kernel says so. By addresses, since not every kernel can match the bridge's name.
 */
export function separateScript({ bridge, subnet }: SpaceNetwork): string {
  const chain = bridgedChain(bridge);
  return `
if command -v ebtables >/dev/null && [ "$(ebtables -L FORWARD 2>/dev/null | grep -c -- "-j ${chain}")" != 2 ]; then
  ${unseparate(chain)}
  ebtables -N ${chain} -P DROP 2>/dev/null || ebtables -N ${chain}
  ebtables -F ${chain} && ebtables -A ${chain} -j DROP
  ebtables -I FORWARD -p IPv4 --ip-src ${subnet} --ip-dst ${subnet} -j ${chain}
  ebtables -I FORWARD -p ARP --arp-ip-src ${subnet} --arp-ip-dst ${subnet} -j ${chain}
fi 2>/dev/null
if [ "$(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null)" != 1 ]; then
  echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
fi 2>/dev/null
true
`;
}

/** Rules by which a space and its gateway meet on the bridge, where all others are kept apart. */
export const meetingRules = ({ address, gateway }: Admission): string[] =>
  [
    [address, gateway],
    [gateway, address],
  ].flatMap(([from, to]) => [
    `-p IPv4 --ip-src ${from} --ip-dst ${to} -j RETURN`,
    `-p ARP --arp-ip-src ${from} --arp-ip-dst ${to} -j RETURN`,
  ]);

const withGateway = (admissions: readonly Admission[]) =>
  admissions.filter(({ gateway }) => gateway !== undefined);

/** Lets spaces and their gateways meet; empty where nothing changes. What was there before is taken out where `anew`. */
export function meetScript(
  { bridge }: SpaceNetwork,
  change: { admit: readonly Admission[]; dismiss: readonly Admission[] },
  anew = false,
): string {
  const chain = bridgedChain(bridge);
  const removed = withGateway(change.dismiss).flatMap(meetingRules);
  const added = withGateway(change.admit).flatMap(meetingRules);
  if (!anew && removed.length + added.length === 0) return "";
  const clear = `ebtables -L ${chain} | grep -- "-j RETURN" | sed 's/ *, *pcnt.*//' | while read -r rule; do
    ebtables -D ${chain} $rule
  done`;
  return `
if command -v ebtables >/dev/null; then
  ${anew ? clear : ""}
  ${[
    ...removed.map((rule) => `ebtables -D ${chain} ${rule}`),
    ...added.map((rule) => `ebtables -I ${chain} 1 ${rule}`),
  ].join("\n  ")}
fi 2>/dev/null
true
`;
}

export const unseparateScript = ({ bridge }: SpaceNetwork) =>
  `command -v ebtables >/dev/null || exit 0\n${unseparate(bridgedChain(bridge))}\ntrue\n`;

const unseparate = (chain: string) => `
  ebtables -L FORWARD 2>/dev/null | grep -- "-j ${chain}" | sed 's/ *, *pcnt.*//' | while read -r rule; do
    ebtables -D FORWARD $rule
  done
  ebtables -F ${chain} 2>/dev/null && ebtables -X ${chain} 2>/dev/null`;
