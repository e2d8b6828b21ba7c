import { describe, expect, it } from "vitest";
import { faults } from "./firewall.js";
import type { NetworkPolicy } from "./policy.js";
import {
  bridgeName,
  chainsFor,
  type RuleContext,
  renderAll,
  renderAllV6,
  renderChange,
  renderNothing,
} from "./ruleset.js";
import { SavedTable } from "./saved-table.js";

const context: RuleContext = {
  network: {
    name: "x-net",
    bridge: "cs-12345678",
    subnet: "172.29.0.0/22",
    gateway: "172.29.0.1",
  },
  resolvers: ["192.168.1.1"],
};
const internet: NetworkPolicy = { mode: "internet", blockCidrs: [], allowCidrs: [] };
const lan: NetworkPolicy = { mode: "lan", blockCidrs: [], allowCidrs: ["172.29.0.1/32"] };
const one = { address: "172.29.0.5", policy: internet };
const two = { address: "172.29.0.6", policy: internet };
const three = { address: "172.29.0.7", policy: lan };

const DOCKERS = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN
COMMIT
`;

/** The kernel's part of iptables-restore --noflush, as far as our input goes. */
function restore(before: string, input: string): string {
  const chains = new Map<string, string[]>();
  for (const line of `${before}\n${input}`.split("\n")) {
    const [, name] = /^:(\S+)/.exec(line) ?? [];
    if (name) chains.set(name, []);
    const [, op, chain = "", at, rule = ""] =
      /^-([AIDFX]) (\S+)(?: (\d+)(?= ))? ?(.*)$/.exec(line) ?? [];
    const rules = chains.get(chain);
    if (!op) continue;
    if (!rules) throw new Error(`no chain for: ${line}`);
    if (op === "A") rules.push(rule);
    if (op === "I") rules.splice(Number(at) - 1, 0, rule);
    if (op === "F") rules.length = 0;
    if (op === "X") chains.delete(chain);
    if (op === "D") {
      if (!rules.includes(rule)) throw new Error(`no rule for: ${line}`);
      rules.splice(rules.indexOf(rule), 1);
    }
  }
  const lines = [...chains].flatMap(([name, rules]) => rules.map((rule) => `-A ${name} ${rule}`));
  return `*filter\n${[...chains.keys()].map((name) => `:${name} - [0:0]`).join("\n")}\n${lines.join("\n")}\nCOMMIT\n`;
}

const found = (text: string) => ({
  tool: "iptables",
  v4: new SavedTable(text),
  v6: undefined,
  bridged: true,
  meetings: 0,
  refused: "",
  bridgeNetfilter: false,
  hasBridge: true,
  resolvers: context.resolvers as string[],
});
const built = restore(DOCKERS, renderAll(context, [one, three], new SavedTable(DOCKERS)));

describe("rules", () => {
  it("holds nothing against what it has built, and changes nothing when built again", () => {
    expect(faults(found(built), context, [one, three])).toEqual([]);
    const again = restore(built, renderAll(context, [one, three], new SavedTable(built)));
    expect(new SavedTable(again).rules("DOCKER-USER")).toEqual(
      new SavedTable(built).rules("DOCKER-USER"),
    );
    expect(again.split("\n").sort()).toEqual(built.split("\n").sort());
  });

  it("ends in refusal for whoever is not admitted, and refuses what goes back to the bridge first", () => {
    const forward = chainsFor(context, []).get("CLAWD-12345678-FWD");
    expect(forward?.at(-1)).toBe("-j CLAWD-12345678-NO");
    const out = [...chainsFor(context, [one])].find(([name]) => name.includes("-P-"))?.[1] ?? [];
    expect(out[0]).toBe("-o cs-12345678 -j CLAWD-12345678-NO");
    expect(chainsFor(context, []).get("CLAWD-12345678-IN")?.at(-1)).toBe("-j CLAWD-12345678-NO");
  });

  it("comes to the same by changes as by building anew", () => {
    const changed = restore(built, renderChange(context, { admit: [two], dismiss: [three] }));
    expect(faults(found(changed), context, [one, two])).toHaveLength(0);
    const rules = new SavedTable(changed);
    expect(rules.rules("CLAWD-12345678-FWD").at(-1)).toBe("-j CLAWD-12345678-NO");
    expect(rules.rules("CLAWD-12345678-IN").join()).toContain("-s 172.29.0.6/32");
    expect(rules.rules("CLAWD-12345678-IN").join()).not.toContain("-s 172.29.0.7/32");
    // What the policy of the dismissed space left goes with the next building.
    const anew = restore(changed, renderAll(context, [one, two], rules));
    expect(
      [...new SavedTable(anew).chains()].filter((chain) => chain.includes("-P-")),
    ).toHaveLength(1);
  });

  it("reads a flush of DOCKER-USER, of a chain of ours, and a lost rule", () => {
    const lines = built.split("\n");
    const without = (gone: (line: string) => boolean) =>
      faults(found(lines.filter((line) => !gone(line)).join("\n")), context, [one, three]);
    expect(without((line) => line.startsWith("-A DOCKER-USER"))).toHaveLength(2);
    expect(without((line) => line.startsWith("-A CLAWD-12345678-FWD"))).toHaveLength(1);
    expect(without((line) => line.includes("-A CLAWD-12345678-IN -s 172.29.0.5/32"))).toHaveLength(
      1,
    );
    expect(without((line) => line.startsWith("-A INPUT"))).toHaveLength(1);
  });

  it.each([
    ["-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", 1],
    ["-A INPUT -i eth0 -j ACCEPT", 0],
    ["-A INPUT -p tcp -j f2b-sshd", 0],
    ["-A INPUT -j CLAWD-87654321-IN", 0],
  ])("takes %s ahead of its entry for %i fault", (rule, count) => {
    const text = built.replace("-A INPUT", `${rule}\n-A INPUT`);
    expect(faults(found(text), context, [one, three])).toHaveLength(count);
    const mended = restore(text, renderAll(context, [one, three], new SavedTable(text)));
    expect(faults(found(mended), context, [one, three])).toEqual([]);
    expect(mended).toContain(rule);
  });

  it("enters from FORWARD alone where Docker keeps no chain for its users", () => {
    const bare = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n";
    const rules = restore(bare, renderAll(context, [one], new SavedTable(bare)));
    expect(faults(found(rules), context, [one])).toEqual([]);
  });

  it("lets ask the node's resolvers, on port 53 alone", () => {
    const out = [...chainsFor(context, [one])].find(([name]) => name.includes("-P-"))?.[1] ?? [];
    expect(out[1]).toBe("-d 192.168.1.1/32 -p udp -m udp --dport 53 -j RETURN");
  });

  it("opens an address of the node only where a policy names that one", () => {
    const chains = [...chainsFor(context, [one, three])].filter(([name]) => name.includes("-N-"));
    expect(
      chains.map(([, rules]) => rules.filter((rule) => /\.1\/32 -j RETURN/.test(rule))),
    ).toEqual([[], ["-d 172.29.0.1/32 -j RETURN"]]);
  });

  it("says what is wrong where nothing keeps spaces apart on the bridge", () => {
    const bridged = { ...found(built), bridged: false };
    expect(faults(bridged, context, [one, three])).toHaveLength(1);
    expect(faults({ ...bridged, bridgeNetfilter: true }, context, [one, three])).toEqual([]);
  });

  it("refuses all of IPv6, and sees where that is lost", () => {
    const empty = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n";
    const v6 = restore(empty, renderAllV6(context.network, new SavedTable(empty)));
    const both = { ...found(built), v6: new SavedTable(v6) };
    expect(faults(both, context, [one, three])).toEqual([]);
    expect(faults({ ...both, v6: new SavedTable(empty) }, context, [one, three])).toHaveLength(3);
  });

  it("leaves nothing of its own behind, and what is others' as it was", () => {
    expect(restore(built, renderNothing(context.network, new SavedTable(built)))).toBe(
      restore(DOCKERS, ""),
    );
  });

  it("names bridges that the kernel takes", () => {
    expect(bridgeName("clawdspace")).toMatch(/^cs-[0-9a-f]{8}$/);
    expect(bridgeName("clawdspace")).not.toBe(bridgeName("other"));
    // Chains may have 28 characters.
    for (const chain of chainsFor(context, [one]).keys()) expect(chain.length).toBeLessThan(29);
  });

  const list = { ...internet, allowDomains: ["github.com"], allowCidrs: ["203.0.113.9/32"] };
  const listed = { address: "172.29.0.8", policy: list, gateway: "172.29.0.99" };

  it("lets a space with a list of domains reach its gateway and what is opened, and notes all else", () => {
    const chains = chainsFor(context, [listed]);
    const out = [...chains].find(([name]) => name.includes("-P-"))?.[1] ?? [];
    expect(out.slice(0, 4)).toEqual([
      "-d 172.29.0.99/32 -p udp -m udp --dport 53 -j ACCEPT",
      "-d 172.29.0.99/32 -p tcp -m tcp --dport 53 -j ACCEPT",
      "-d 172.29.0.99/32 -p tcp -m tcp --dport 80 -j ACCEPT",
      "-d 172.29.0.99/32 -p tcp -m tcp --dport 443 -j ACCEPT",
    ]);
    expect(out.filter((rule) => rule.endsWith("RETURN"))).toEqual(["-d 203.0.113.9/32 -j RETURN"]);
    expect(out.at(-1)).toMatch(/^-j CLAWD-12345678-D-[0-9a-f]{8}$/);
    const noted = [...chains].find(([name]) => name.includes("-D-"))?.[1] ?? [];
    expect(noted.every((rule) => rule.endsWith("-j CLAWD-12345678-NO"))).toBe(true);
    expect(noted.at(-1)).toBe("-j CLAWD-12345678-NO");
  });

  it("sees where a space and its gateway can't meet on the bridge", () => {
    const text = restore(DOCKERS, renderAll(context, [listed], new SavedTable(DOCKERS)));
    expect(faults(found(text), context, [listed])).toEqual([
      "what lets spaces and their gateways meet",
    ]);
    expect(faults({ ...found(text), meetings: 4 }, context, [listed])).toEqual([]);
  });

  it("keeps spaces of different lists apart", () => {
    const other = { ...list, allowDomains: ["gitlab.com"] };
    const admitted = [listed, { address: "172.29.0.7", policy: other, gateway: "172.29.0.98" }];
    const chains = chainsFor(context, admitted);
    expect([...chains.keys()].filter((name) => name.includes("-P-"))).toHaveLength(2);
  });
});
