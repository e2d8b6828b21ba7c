import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { INTERNET_V6, Lab, NODE, NODE_V6, RESOLVER, until, WORLD } from "../support/lab.js";

const MODES = ["none", "internet", "lan", "custom", "block", "listed", "other-list"] as const;
type Mode = (typeof MODES)[number];

const TEMPLATES = [
  "name: none\nnetwork: { mode: none }\n",
  "name: internet\n",
  "name: lan\nnetwork: { mode: lan }\n",
  `name: custom\nnetwork: { mode: internet, allowCidrs: [${WORLD.lan[0]}/32], blockCidrs: [${WORLD.internet[1]}/32] }\n`,
  `name: block\nnetwork: { mode: lan, blockCidrs: [192.168.0.0/16, 203.0.113.0/24], allowCidrs: [${WORLD.internet[1]}/32] }\n`,
  'name: listed\nnetwork: { allowDomains: [allowed.test, inside.test, "*.wild.test"] }\n',
  "name: other-list\nnetwork: { allowDomains: [other.test] }\n",
];

interface Target {
  what: string;
  probe: (string | number | null)[];
  reachedBy: Mode[];
}

let lab: Lab;
let targets: Target[];

const ALL: Mode[] = ["internet", "lan", "custom", "block"];
/** Who reaches the first of the internet's hosts, and who the second. */
const NEAR: Mode[] = ["internet", "lan", "custom"];
const FAR: Mode[] = ["internet", "lan", "block"];

/** What lies around a space, and who may reach it. */
async function survey(): Promise<Target[]> {
  const [internet, internet2] = WORLD.internet;
  const [lan, lan2, tailnet] = WORLD.lan;
  const network = await lab.docker.getNetwork(`${lab.namespace}-net`).inspect();
  const gateway = network.IPAM?.Config?.[0]?.Gateway ?? "";
  const web = await lab.addressOf("web", "");
  const listing = await gatewayOf("listed");
  const otherListing = await gatewayOf("other-list");
  const target = (what: string, probe: Target["probe"], ...reachedBy: Mode[]) => ({
    what,
    probe,
    reachedBy,
  });
  return [
    target(`internet host ${internet}`, ["tcp", internet, 80], "internet", "lan", "custom"),
    target(`internet host ${internet} (UDP)`, ["udp", internet, 5000], "internet", "lan", "custom"),
    target(`internet host ${internet2}`, ["tcp", internet2, 80], "internet", "lan", "block"),
    target("a listed name, by DNS", ["name", "allowed.test"], ...ALL, "listed"),
    target("another name, by DNS", ["name", "other.test"], ...ALL, "other-list"),
    target(`the node's private resolver ${RESOLVER}`, ["dns", RESOLVER, "allowed.test"], ...ALL),
    target("a listed name, by HTTP", ["tcp", "allowed.test", 80], ...NEAR, "listed"),
    target(
      "a listed name, by TLS",
      ["tls", "allowed.test", 443, "allowed.test"],
      ...NEAR,
      "listed",
    ),
    target(
      "a name below a listed one",
      ["tls", "sub.wild.test", 443, "sub.wild.test"],
      ...NEAR,
      "listed",
    ),
    target("another name, by TLS", ["tls", "other.test", 443, "other.test"], ...FAR, "other-list"),
    target("a listed name, at its address", ["tls", internet, 443, "allowed.test"], ...NEAR),
    target("a listed name, at another address", ["tls", internet2, 443, "allowed.test"], ...FAR),
    target(
      "a listed name, by the gateway's address",
      ["tls", listing, 443, "allowed.test"],
      "listed",
    ),
    target(
      "a name of another list, by its gateway",
      ["tls", otherListing, 443, "other.test"],
      "other-list",
    ),
    target(`the resolver's web server ${RESOLVER}`, ["tcp", RESOLVER, 80], "lan", "custom"),
    target(`LAN host ${lan}, SSH port`, ["tcp", lan, 22], "lan", "custom"),
    target(`LAN host ${lan2}`, ["tcp", lan2, 80], "lan"),
    target(`LAN host ${lan} (UDP)`, ["udp", lan, 5000], "lan", "custom"),
    target("LAN host by a public name", ["tcp", "inside.test", 80], "lan"),
    target(`host of a tailnet ${tailnet}`, ["tcp", tailnet, 80], "lan", "block"),
    target("cloud metadata", ["tcp", WORLD.metadata[0], 80]),
    target("the API at the bridge's address", ["tcp", gateway, 7777]),
    target("the API at the LAN address", ["tcp", NODE.lan, 7777]),
    target("the API at the public address", ["tcp", NODE.internet, 7777]),
    target("another service at the bridge's address", ["tcp", gateway, 8022]),
    target("another service at the LAN address", ["tcp", NODE.lan, 8022]),
    target("another service at the metadata side", ["tcp", "169.254.169.1", 8022]),
    target("a published port of another container", ["tcp", NODE.lan, 9090]),
    target("another container on Docker's bridge", ["tcp", web, 8000]),
    target("another space", ["tcp", await lab.addressOf("other"), 8000]),
    target("internet host (IPv6)", ["tcp", INTERNET_V6, 80]),
    target("the node (IPv6)", ["tcp", NODE_V6, 8022]),
    target("the node by its link-local address", ["tcp", await bridgeV6(), 8022]),
  ];
}

/** The gateway that stands between a space and the domains on its list. */
async function gatewayOf(space: string): Promise<string> {
  const { HostConfig } = await lab.docker.getContainer(`${lab.namespace}-${space}`).inspect();
  return HostConfig.Dns?.[0] ?? "";
}

/** The link-local IPv6 address of the spaces' bridge, as a space would have to say it. */
async function bridgeV6(): Promise<string> {
  const addresses = await lab.onNode(["ip", "-6", "-o", "addr", "show", "scope", "link"]);
  const found = /cs-\S+ +inet6 (fe80:[^/]+)/.exec(addresses)?.[1];
  if (!found) throw new Error(`the spaces' bridge has no IPv6 address:\n${addresses}`);
  return `${found}%eth0`;
}

async function reached(mode: Mode): Promise<boolean[]> {
  return await probe(
    mode,
    targets.map((each) => each.probe),
  );
}

async function probe(space: string, probes: Target["probe"][]): Promise<boolean[]> {
  const script = await readFile(join(import.meta.dirname, "../support/probe.py"), "utf8");
  const { status, body } = await lab.json("POST", `/api/spaces/${space}/exec`, {
    command: ["python3", "-c", script, JSON.stringify(probes)],
  });
  expect([status, body.stderr]).toEqual([200, ""]);
  return JSON.parse(body.stdout);
}

/** Tries everything from every space, prints the table, and checks each cell. */
async function expectTable(when: string): Promise<void> {
  const columns = await Promise.all(MODES.map(reached));
  const width = Math.max(...targets.map(({ what }) => what.length));
  const rows = targets.map(({ what }, row) =>
    [what.padEnd(width), ...MODES.map((mode, at) => mark(columns[at]?.[row], mode))].join("  "),
  );
  const header = ["".padEnd(width), ...MODES].join("  ");
  console.log([`\nReached by real connections, ${when}:`, header, ...rows].join("\n"));
  for (const [at, mode] of MODES.entries()) {
    const wrong = targets.filter(
      ({ reachedBy }, row) => columns[at]?.[row] !== reachedBy.includes(mode),
    );
    expect(wrong.map(({ what }) => `${mode}: ${what}`)).toEqual([]);
  }
}

const mark = (yes: boolean | undefined, mode: Mode) => (yes ? "yes" : "-").padEnd(mode.length);

beforeAll(async () => {
  lab = await Lab.start();
  for (const yaml of TEMPLATES) await lab.template(yaml);
  await lab.space("other", { template: "lan" });
  const serve = "cd /tmp && nohup python3 -m http.server 8000 >/dev/null 2>&1 & sleep 1";
  await lab.sh("other", serve);
  const web = await lab.docker.createContainer({
    name: "web",
    Image: "clawdspace:latest",
    Cmd: ["python3", "-m", "http.server", "8000"],
    WorkingDir: "/tmp",
    HostConfig: { PortBindings: { "8000/tcp": [{ HostPort: "9090" }] } },
    ExposedPorts: { "8000/tcp": {} },
  });
  await web.start();
  for (const mode of MODES) await lab.space(mode, { template: mode });
  targets = await survey();
});

afterAll(() => lab?.stop());

describe("what a space reaches", () => {
  it("is there to be reached, from the node itself", async () => {
    const probe = await readFile(join(import.meta.dirname, "../support/probe.py"), "utf8");
    const { Options } = await lab.docker.getNetwork(`${lab.namespace}-net`).inspect();
    const bridge = Options?.["com.docker.network.bridge.name"] ?? "";
    const list = JSON.stringify(targets.map((each) => each.probe)).replace("%eth0", `%${bridge}`);
    const found = JSON.parse(await lab.onNode(["python3", "-c", probe, list]));
    const missing = targets.filter((_target, row) => !found[row]).map(({ what }) => what);
    expect(missing).toEqual([]);
  });

  it("is what its policy says", () => expectTable("from new spaces"));

  it("is the same with a space that names no template as with the shipped default", async () => {
    await lab.space("plain");
    const { body } = await lab.json("GET", "/api/spaces/plain");
    expect(body.space.security.network).toMatchObject({ mode: "internet" });
    expect(body.space.security.network.blockedCidrs).toEqual(
      expect.arrayContaining(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]),
    );
    const list = JSON.stringify(targets.map((each) => each.probe));
    const probe = await readFile(join(import.meta.dirname, "../support/probe.py"), "utf8");
    const command = ["python3", "-c", probe, list];
    const answer = await lab.json("POST", "/api/spaces/plain/exec", { command });
    expect(JSON.parse(answer.body.stdout)).toEqual(
      targets.map(({ reachedBy }) => reachedBy.includes("internet")),
    );
  });
});

describe("a gateway to listed domains", () => {
  const listing = () => gatewayOf("listed");

  it("refuses other names, no name, and what is no TLS or a proxy's business", async () => {
    const gateway = await listing();
    const probes: Target["probe"][] = [
      ["tls", gateway, 443, "other.test"],
      ["tls", gateway, 443, "wild.test"],
      ["tls", gateway, 443, "allowed.test.other.test"],
      ["tls", gateway, 443, null],
      ["tcp", gateway, 443, "allowed.test"],
      ["tcp", gateway, 80, "other.test"],
      ["tcp", gateway, 80, gateway],
      ["connect", gateway, 80, "allowed.test"],
      ["tcp", "inside.test", 80],
      ["tls", "inside.test", 443, "inside.test"],
      ["dns", gateway, "tunnel.other.test"],
    ];
    expect(await probe("listed", probes)).toEqual(probes.map(() => false));
  });

  it("tells the audit log of each denial, by name or address", async () => {
    const wanted = [
      { by: "dns", name: "tunnel.other.test" },
      { by: "tls", name: "other.test" },
      { by: "tls" },
      { by: "http", name: "other.test" },
      { by: "http", name: "inside.test", address: WORLD.lan[1] },
      { by: "address", address: WORLD.internet[1], port: 443 },
      { by: "address", address: WORLD.metadata[0], port: 80 },
    ];
    const missing = async () => {
      const { body } = await lab.json("GET", "/api/audit?type=egress.deny&space=listed&limit=1000");
      const metas: string[] = body.events.map(({ meta }: { meta: object }) => sorted(meta));
      return wanted.filter((each) => !metas.includes(sorted(each)));
    };
    await until("all denials are logged", async () => (await missing()).length === 0).catch(
      () => {},
    );
    expect(await missing()).toEqual([]);
  });

  it("tells of a flood no more than a little", async () => {
    const asks =
      "import socket\nfor i in range(3000):\n  try: socket.gethostbyname(f'x{i}.flood.test')\n  except OSError: pass";
    await lab.json("POST", "/api/spaces/other-list/exec", { command: ["python3", "-c", asks] });
    const { body } = await lab.json(
      "GET",
      "/api/audit?type=egress.deny&space=other-list&limit=1000",
    );
    expect(body.events.length).toBeLessThanOrEqual(90);
    expect(await probe("other-list", [["name", "other.test"]])).toEqual([true]);
  });

  it("is made anew where it is gone, at the same address", async () => {
    const gateway = await listing();
    await lab.docker.getContainer(`${lab.namespace}.gateway.${gateway}`).remove({ force: true });
    await until("it serves again", async () => {
      const [reached] = await probe("listed", [["tls", "allowed.test", 443, "allowed.test"]]);
      return reached === true;
    });
  });
});

describe("rules", () => {
  it("hold over a restart of the engine, and after it", async () => {
    await lab.stopEngine();
    await lab.startEngine();
    await until("the daemon has the engine back", async () => {
      const { status } = await lab.json("POST", "/api/spaces/lan/exec", { command: "true" });
      return status === 200;
    });
    await expectTable("after a restart of the engine");
  });

  it("hold while DOCKER-USER is flushed, and are back within a minute", async () => {
    await lab.onNode(["iptables", "-F", "DOCKER-USER"]);
    await expectTable("with DOCKER-USER flushed");
    await until("the rules are back", restored, 60_000);
    await expectTable("with DOCKER-USER restored");
    const { body } = await lab.json("GET", "/api/audit?type=network.restored");
    expect(body.events.at(-1)?.meta.lost).toContainEqual(expect.stringContaining("DOCKER-USER"));
  });

  it("are back within a minute after a flush of everything", async () => {
    await lab.onNode(["iptables", "-F"]);
    await lab.onNode(["ebtables", "-F"]);
    await lab.onNode(["ip6tables", "-F"]);
    await until("the rules are back", restored, 60_000);
    // Docker's own rules are not ours to bring back.
    await lab.stopEngine();
    await lab.startEngine();
    await until("the daemon has the engine back", async () => {
      const { status } = await lab.json("POST", "/api/spaces/lan/exec", { command: "true" });
      return status === 200;
    });
    await expectTable("after everything was flushed");
  });

  it("hold where what crosses a bridge passes no iptables", async () => {
    await lab.onNode(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0"]);
    await expectTable("with bridge-nf-call-iptables at 0");
    await lab.onNode(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"]);
  });

  it("hold over a restart of the daemon, and while it is away", async () => {
    await lab.stopDaemon("SIGKILL");
    await lab.startDaemon();
    await expectTable("after the daemon was killed and started");
  });

  it("close behind a space that is gone, and its gateway goes with the last that it served", async () => {
    const address = await lab.addressOf("lan");
    const gateway = await gatewayOf("listed");
    await lab.json("DELETE", "/api/spaces/lan?removeVolume=true");
    await lab.json("DELETE", "/api/spaces/listed?removeVolume=true");
    await until("its rules are gone", async () => {
      return !(await lab.onNode(["iptables-save"])).includes(`${address}/32`);
    });
    await until(
      "its gateway is gone",
      async () => !(await names()).some((each) => each.endsWith(gateway)),
    );
  });

  it("leave nothing behind once they are uninstalled", async () => {
    const { body } = await lab.json("GET", "/api/spaces");
    for (const { name } of body.spaces) {
      await lab.json("DELETE", `/api/spaces/${name}?removeVolume=true`);
    }
    await lab.stopDaemon();
    await lab.uninstallNetwork();
    const left = await Promise.all(
      ["iptables-save", "ip6tables-save", "ebtables-save"].map((tool) => lab.onNode([tool])),
    );
    expect(left.join("\n")).not.toMatch(/CLAWD|cs-[0-9a-f]{8}/);
    const networks = await lab.docker.listNetworks();
    expect(networks.map(({ Name }) => Name).sort()).toEqual(["bridge", "host", "none"]);
    expect(await names()).toEqual(["web"]);
  });
});

/** A value as text, whatever the order of its fields. */
const sorted = (value: object) => JSON.stringify(Object.entries(value).sort());

async function names(): Promise<string[]> {
  const containers = await lab.docker.listContainers({ all: true });
  return containers.map(({ Names }) => (Names[0] ?? "").slice(1));
}

async function restored(): Promise<boolean> {
  const rules = await lab.onNode(["iptables-save", "-t", "filter"]);
  const bridged = await lab.onNode(["ebtables", "-L", "FORWARD"]);
  return (
    /^-A DOCKER-USER -i cs-\S+ -j CLAWD-/m.test(rules) &&
    /^-A INPUT -i cs-\S+ -j CLAWD-/m.test(rules) &&
    /-j CLAWD-/.test(bridged)
  );
}
