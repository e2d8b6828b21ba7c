import ipaddr from "ipaddr.js";
import { describe, expect, it } from "vitest";
import { blockedCidrs, type NetworkPolicy, openedAddresses, policyId, verdicts } from "./policy.js";

const policy = (part: Partial<NetworkPolicy> = {}): NetworkPolicy => ({
  mode: "internet",
  blockCidrs: [],
  allowCidrs: [],
  ...part,
});

/** As the rules decide: the first range that holds the address. */
function reaches(of: NetworkPolicy, address: string): boolean {
  const parsed = ipaddr.IPv4.parse(address);
  const first = verdicts(of).find(({ cidr }) => parsed.match(ipaddr.IPv4.parseCIDR(cidr)));
  return first?.allow ?? true;
}

describe("verdicts", () => {
  it.each([
    ["internet", "203.0.113.10", true],
    ["internet", "8.8.8.8", true],
    ["internet", "10.1.2.3", false],
    ["internet", "172.31.255.255", false],
    ["internet", "172.32.0.1", true],
    ["internet", "192.168.77.2", false],
    ["internet", "100.64.0.1", false],
    ["internet", "169.254.169.254", false],
    ["internet", "127.0.0.1", false],
    ["internet", "224.0.0.251", false],
    ["lan", "192.168.77.2", true],
    ["lan", "10.1.2.3", true],
    ["lan", "100.64.0.1", true],
    ["lan", "169.254.169.254", false],
    ["lan", "169.254.1.1", false],
    ["lan", "100.100.100.200", false],
    ["lan", "168.63.129.16", false],
  ] as const)("mode %s, %s: %s", (mode, address, reached) => {
    expect(reaches(policy({ mode }), address)).toBe(reached);
  });

  it("lets the most specific range win, either way", () => {
    const mixed = policy({
      blockCidrs: ["203.0.113.0/24", "10.1.2.128/25"],
      allowCidrs: ["203.0.113.7/32", "10.1.2.0/24"],
    });
    expect(reaches(mixed, "203.0.113.10")).toBe(false);
    expect(reaches(mixed, "203.0.113.7")).toBe(true);
    expect(reaches(mixed, "10.1.2.5")).toBe(true);
    expect(reaches(mixed, "10.1.2.200")).toBe(false);
    expect(reaches(mixed, "10.1.3.1")).toBe(false);
  });

  it("at equal size prefers the template's block, then its allowance, then its mode", () => {
    expect(reaches(policy({ allowCidrs: ["10.0.0.0/8"] }), "10.1.1.1")).toBe(true);
    const both = policy({ allowCidrs: ["10.0.0.0/8"], blockCidrs: ["10.0.0.0/8"] });
    expect(reaches(both, "10.1.1.1")).toBe(false);
  });

  it("opens metadata to an allowance that names the one address, never to a wider one", () => {
    const wide = policy({ mode: "lan", allowCidrs: ["169.254.169.0/24", "0.0.0.0/0"] });
    expect(reaches(wide, "169.254.169.254")).toBe(false);
    const exact = policy({ allowCidrs: ["169.254.169.254/32"] });
    expect(reaches(exact, "169.254.169.254")).toBe(true);
  });

  it("refuses everything but its allowances where domains are listed", () => {
    const domains = policy({ allowDomains: ["github.com"], allowCidrs: ["203.0.113.10/32"] });
    expect(reaches(domains, "203.0.113.11")).toBe(false);
    expect(reaches(domains, "203.0.113.10")).toBe(true);
  });

  it("ignores host bits and order", () => {
    const one = policy({ blockCidrs: ["1.2.3.4/8", "9.9.9.9/32"] });
    const other = policy({ blockCidrs: ["9.9.9.9/32", "1.0.0.0/8"] });
    expect(verdicts(one)).toContainEqual({ cidr: "1.0.0.0/8", allow: false });
    expect(policyId(one)).toBe(policyId(other));
    expect(policyId(one)).not.toBe(policyId(policy()));
  });

  it("tells people what is blocked and which single addresses are open", () => {
    expect(blockedCidrs(policy())).toContain("10.0.0.0/8");
    expect(blockedCidrs(policy({ mode: "lan" }))).not.toContain("10.0.0.0/8");
    expect(blockedCidrs(policy({ mode: "lan" }))).toContain("::/0");
    expect(openedAddresses(policy({ allowCidrs: ["10.0.0.1/32", "10.2.0.0/16"] }))).toEqual([
      "10.0.0.1/32",
    ]);
  });
});
