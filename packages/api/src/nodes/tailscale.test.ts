import { expect, it } from "vitest";
import { toMachines } from "./tailscale.js";

const peer = (name: string, address: string, more: object = {}) => ({
  ID: `n${name}`,
  HostName: name,
  DNSName: `${name}.tail1234.ts.net.`,
  OS: "linux",
  TailscaleIPs: [address, "fd7a:115c:a1e0::1"],
  Online: true,
  ...more,
});

const status = (...peers: ReturnType<typeof peer>[]) => ({
  Version: "1.80.0",
  BackendState: "Running",
  Self: peer("vps", "100.64.0.1"),
  Peer: Object.fromEntries(peers.map((each) => [`nodekey:${each.HostName}`, each])),
});

const any = { tag: undefined, allowed: [], port: 7777 };

it("lists this machine first, then the others by name", () => {
  const gone = peer("gpu", "100.64.0.2", { Online: false });
  expect(toMachines(status(peer("laptop", "100.64.0.3"), gone), any)).toEqual([
    { name: "vps", url: "http://100.64.0.1:7777", address: "100.64.0.1", self: true, online: true },
    {
      name: "gpu",
      url: "http://100.64.0.2:7777",
      address: "100.64.0.2",
      self: false,
      online: false,
    },
    {
      name: "laptop",
      url: "http://100.64.0.3:7777",
      address: "100.64.0.3",
      self: false,
      online: true,
    },
  ]);
});

it("takes only what has the tag, and only the names allowed", () => {
  const tagged = peer("gpu", "100.64.0.2", { Tags: ["tag:clawdspace", "tag:x"] });
  const printed = status(tagged, peer("phone", "100.64.0.4"), peer("laptop", "100.64.0.3"));
  const names = (options: object) =>
    toMachines(printed, { ...any, ...options }).map(({ name }) => name);
  expect(names({ tag: "tag:clawdspace" })).toEqual(["vps", "gpu"]);
  expect(names({ allowed: ["laptop"] })).toEqual(["vps", "laptop"]);
  expect(names({ tag: "tag:clawdspace", allowed: ["laptop"] })).toEqual(["vps"]);
});

it("tells machines of one host name apart by the tailnet's name for them, and asks at the port given", () => {
  const [a, b] = [
    peer("box", "100.64.0.5"),
    { ...peer("box", "100.64.0.6"), DNSName: "box-1.tail1234.ts.net." },
  ];
  const printed = { ...status(), Peer: { a, b } };
  expect(toMachines(printed, { ...any, port: 7000 }).map(({ name, url }) => [name, url])).toEqual([
    ["vps", "http://100.64.0.1:7000"],
    ["box", "http://100.64.0.5:7000"],
    ["box-1", "http://100.64.0.6:7000"],
  ]);
});

it("gets along with a tailnet of one, and with machines without an address", () => {
  expect(toMachines({ ...status(), Peer: null }, any)).toHaveLength(1);
  expect(toMachines(status(peer("new", "100.64.0.9", { TailscaleIPs: null })), any)).toHaveLength(
    1,
  );
  const six = peer("six", "x", { TailscaleIPs: ["fd7a:115c:a1e0::2"] });
  expect(toMachines(status(six), any)[1]?.url).toBe("http://[fd7a:115c:a1e0::2]:7777");
});

it("says what is wrong where Tailscale isn't connected or prints something else", () => {
  const stopped = { ...status(), BackendState: "NeedsLogin" };
  expect(() => toMachines(stopped, any)).toThrow('Tailscale is in the state "NeedsLogin"');
  expect(() => toMachines({ error: "x" }, any)).toThrow("no status");
});

it("says where this machine's Tailscale has no interface of its own", () => {
  const [self, other] = toMachines({ ...status(peer("laptop", "100.64.0.3")), TUN: false }, any);
  expect([self?.handsOn, other?.handsOn]).toEqual([true, undefined]);
});
