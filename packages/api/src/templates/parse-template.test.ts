import { ClawdspaceError } from "@clawdspace/protocol";
import { describe, expect, it } from "vitest";
import { parseTemplate } from "./parse-template.js";
import { SHIPPED_TEMPLATES } from "./shipped.js";

function faultsOf(yaml: string): ClawdspaceError {
  try {
    parseTemplate(yaml);
  } catch (error) {
    if (error instanceof ClawdspaceError) return error;
    throw error;
  }
  throw new Error("the template was taken");
}

describe("parseTemplate", () => {
  it("takes every key", () => {
    const template = parseTemplate(`
name: full
description: all keys
resources: { memory: 1g, cpus: 0.5, gpu: false, image: "debian:12", pids: 256, disk: 2g, tmpfs: { /tmp: 64m, /scratch: 1g } }
security: { writableRootfs: false, allowRoot: true, runtime: runsc, seccomp: strict.json }
network: { mode: internet, blockCidrs: [1.2.3.0/24, "2001:db8::/32"], allowCidrs: [10.0.0.5/32], allowDomains: [github.com, "*.npmjs.org"] }
workspace: { defaultRepoDest: code }
sleep: { idleTimeout: 15m, keepAwakeWhileBusy: true }
env: { CI: "1" }
setup: [npm ci, npm test]
`);
    expect(template.resources?.tmpfs).toEqual({ "/tmp": "64m", "/scratch": "1g" });
    expect(template.setup).toEqual(["npm ci", "npm test"]);
  });

  it.each(Object.entries(SHIPPED_TEMPLATES))("takes the shipped template %s", (name, yaml) => {
    expect(parseTemplate(yaml).name).toBe(name);
  });

  it("names path and line of every fault", () => {
    const error = faultsOf(
      "# mine\nname: x\nresources:\n  memory: lots\n  cpus: 0\nnetwork:\n  mode: wan\n  # private\n  blockCidrs:\n    - 10.0.0.0/8\n    - nonsense\n",
    );
    expect(error.issues?.map(({ path, line }) => [path, line])).toEqual([
      ["resources.memory", 4],
      ["resources.cpus", 5],
      ["network.mode", 7],
      ["network.blockCidrs.1", 11],
    ]);
    expect(error.message).toContain("line 4, resources.memory: must be a size");
  });

  it("refuses unknown keys at their own line, the misspelt ones too", () => {
    const error = faultsOf("name: x\nnetwork:\n  mode: lan\n  blockCidr: []\nextra: 1\n");
    expect(error.issues?.map(({ path, line }) => [path, line])).toEqual([
      ["network.blockCidr", 4],
      ["extra", 5],
    ]);
  });

  it("names the line of a missing key's surroundings", () => {
    expect(faultsOf("\n\ndescription: no name\n").issues).toMatchObject([{ path: "name" }]);
  });

  it.each([
    ["broken YAML", "name: x\nresources: {\n", 3],
    ["a key twice", "name: x\nname: y\n", 2],
    ["a text", "just words", 1],
    ["nothing", "# only a comment\n", 1],
  ])("refuses %s with a line", (_what, yaml, line) => {
    expect(faultsOf(yaml).issues?.[0]?.line).toBe(line);
  });

  it("refuses YAML that unfolds into something huge", () => {
    const bomb = ["a: &a [1,1,1,1,1,1,1,1,1]"];
    for (let level = 0; level < 8; level++) {
      const [from, to] = ["abcdefghij"[level], "abcdefghij"[level + 1]];
      bomb.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(",")}]`);
    }
    expect(faultsOf(bomb.join("\n")).message).toContain("no valid YAML");
  });

  it.each([
    ["an allowance with mode none", "network: { mode: none, allowCidrs: [10.0.0.1/32] }"],
    ["domains with mode lan", "network: { mode: lan, allowDomains: [github.com] }"],
    ["an IPv6 allowance", 'network: { allowCidrs: ["fd00::/8"] }'],
    ["a domain that is an address", "network: { allowDomains: [10.0.0.1] }"],
    ["a wildcard for everything", 'network: { allowDomains: ["*"] }'],
    ["a profile outside the config folder", "security: { seccomp: ../x.json }"],
    ["an unconfined profile", "security: { seccomp: unconfined }"],
    ["a tmpfs over the workspace", "resources: { tmpfs: { /workspace: 1g } }"],
    ["a tmpfs that climbs", "resources: { tmpfs: { /a/../proc: 1g } }"],
    ["a timeout without a unit", 'sleep: { idleTimeout: "10" }'],
    ["an environment variable with no name", 'env: { "A B": x }'],
  ])("refuses %s", (_what, yaml) => {
    expect(faultsOf(`name: x\n${yaml}\n`).code).toBe("unprocessable");
  });

  it("takes 0 and milliseconds as idle timeouts", () => {
    expect(parseTemplate("name: x\nsleep: { idleTimeout: 0 }\n").sleep?.idleTimeout).toBe(0);
    expect(parseTemplate("name: x\nsleep: { idleTimeout: 2000 }\n").sleep?.idleTimeout).toBe(2000);
  });
});
