import { expect, it } from "vitest";
import { gatewayProgram, parseGatewayLine } from "./gateway-program.js";

const from = "172.29.0.5";

// The lines are what dnsmasq 2.90 and haproxy 2.6 printed.
it.each([
  [
    "dnsmasq[8]: 25 172.29.0.5/37447 config evil.com is NXDOMAIN",
    { by: "dns", from, name: "evil.com" },
  ],
  ["@egress tls 172.29.0.5 PR name - evil.com", { by: "tls", from, name: "evil.com" }],
  ["@egress tls 172.29.0.5 PR name - -", { by: "tls", from }],
  ["@egress tls 172.29.0.5 PR - - -", { by: "tls", from }],
  [
    "@egress tls 172.29.0.5 SC - 192.168.77.3 inside.test",
    { by: "tls", from, name: "inside.test", address: "192.168.77.3" },
  ],
  ["@egress http 172.29.0.5 PR name - 172.29.0.9", { by: "http", from, name: "172.29.0.9" }],
])("reads a denial: %s", (line, report) => {
  expect(parseGatewayLine(line)).toEqual(report);
});

it.each([
  "dnsmasq[8]: 2 172.29.0.5/48931 config allowed.test is NODATA-IPv6",
  "dnsmasq[8]: 1 172.29.0.5/46449 config allowed.test is 172.29.0.9",
  "dnsmasq[8]: 1 172.29.0.5/46449 query[A] x is NXDOMAIN from 172.29.0.5",
  "@egress tls 172.29.0.5 PR - - nosuch.test",
  "@egress http 172.29.0.5 PR - - -",
  "@egress tls 172.29.0.5 PR name",
  "",
])("takes no denial from: %s", (line) => {
  expect(parseGatewayLine(line)).toBeUndefined();
});

it("passes names on as they are listed", () => {
  const { env } = gatewayProgram("172.29.0.9", ["github.com", "*.npmjs.org"]);
  expect(env).toMatchObject({ ADDRESS: "172.29.0.9", DOMAINS: "github.com *.npmjs.org" });
});
