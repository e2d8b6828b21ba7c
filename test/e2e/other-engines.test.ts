import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab, NODE, until, WORLD } from "../support/lab.js";

// A daemon that is no more than a member of the docker group, outside of the engine's network namespace, as with an
// engine in a virtual machine; and an engine that has gVisor.
let lab: Lab;

beforeAll(async () => {
  const runsc = execFileSync("which", ["runsc"], { encoding: "utf8" }).trim();
  // The platform and network that work inside of containers and virtual machines alike.
  const runtimeArgs = ["--platform=ptrace", "--network=host"];
  lab = await Lab.start({
    unprivileged: true,
    engine: { runtimes: { runsc: { path: runsc, runtimeArgs } } },
  });
});

afterAll(() => lab?.stop());

async function reaches(space: string, targets: [string, string, number][]): Promise<boolean[]> {
  const probe = await readFile(join(import.meta.dirname, "../support/probe.py"), "utf8");
  const command = ["python3", "-c", probe, JSON.stringify(targets)];
  const { status, body } = await lab.json("POST", `/api/spaces/${space}/exec`, { command });
  expect([status, body.error ?? body.stderr]).toEqual([200, ""]);
  return JSON.parse(body.stdout);
}

describe("a daemon that may not change rules itself", () => {
  it("refuses spaces with a network where its helper can't either, and says why", async () => {
    const request = { name: "open", memory: "256m" };
    await lab.withoutIptables(async () => {
      const { status, body } = await lab.json("POST", "/api/spaces", request);
      expect([status, body.error]).toEqual([422, expect.stringContaining("iptables")]);
    });
    expect((await lab.json("GET", "/api/spaces/open")).status).toBe(404);
    await lab.space("offline", { template: "offline" });
    expect((await lab.sh("offline", "echo works")).stdout).toBe("works");
  });

  it("has rules set by a helper container in the engine's network", async () => {
    await lab.space("open");
    await lab.space("lan", { template: "lan" });
    const targets: [string, string, number][] = [
      ["tcp", WORLD.internet[0], 80],
      ["tcp", WORLD.lan[1], 80],
      ["tcp", WORLD.metadata[0], 80],
      ["tcp", NODE.lan, 8022],
      ["tcp", await lab.addressOf("lan"), 22],
    ];
    expect(await reaches("open", targets)).toEqual([true, false, false, false, false]);
    expect(await reaches("lan", targets)).toEqual([true, true, false, false, false]);
    const { body } = await lab.json("GET", "/api/spaces/open");
    expect(body.space.security.network.enforcedBy).toBe("iptables, by a helper container");
  });

  it("confines a space to listed domains", async () => {
    await lab.template('name: listed\nnetwork: { allowDomains: ["*.wild.test"] }\n');
    await lab.space("listed", { template: "listed" });
    const targets: [string, string, number][] = [
      ["tls", "sub.wild.test", 443],
      ["tls", "allowed.test", 443],
      ["tls", WORLD.internet[0], 443],
    ];
    expect(await reaches("listed", targets)).toEqual([true, false, false]);
  });

  it("notices within a minute that rules are gone", async () => {
    await lab.onNode(["iptables", "-F", "DOCKER-USER"]);
    await until(
      "the rules are back",
      async () => (await lab.onNode(["iptables-save"])).includes("-A DOCKER-USER -i cs-"),
      60_000,
    );
  });

  it("leaves no helper behind", async () => {
    const helpers = async () => {
      const containers = await lab.docker.listContainers({ all: true });
      return containers.filter(({ Names }) => /scratch/.test(Names[0] ?? ""));
    };
    await until("the helpers are gone", async () => (await helpers()).length === 0);
  });

  it("refuses a size for the workspace, which takes root", async () => {
    await lab.template("name: sized\nresources: { disk: 64m }\n");
    const request = { name: "sized", memory: "256m", template: "sized" };
    const { status, body } = await lab.json("POST", "/api/spaces", request);
    expect([status, body.error]).toEqual([422, expect.stringContaining("root")]);
  });
});

describe("a space under gVisor", () => {
  it("runs there, with the same user, limits and network policy", async () => {
    await lab.template("name: guarded\nsecurity: { runtime: runsc }\n");
    await lab.space("guarded", { template: "guarded" });
    const { stdout } = await lab.sh("guarded", "dmesg; id -u; pwd; echo kept >note && cat note");
    expect(stdout).toMatch(/gVisor/i);
    expect(stdout).toMatch(/1001\n\/workspace\nkept$/);
    const { body } = await lab.json("GET", "/api/spaces/guarded");
    expect(body.space.security).toMatchObject({ runtime: "runsc", capabilities: [] });
    expect(
      await reaches("guarded", [
        ["tcp", WORLD.internet[0], 80],
        ["tcp", WORLD.lan[1], 80],
        ["tcp", NODE.lan, 8022],
      ]),
    ).toEqual([true, false, false]);
  });

  it("can't escape from there either", async () => {
    const script = await readFile(join(import.meta.dirname, "../support/escape.py"), "utf8");
    const command = ["python3", "-c", script];
    const { body } = await lab.json("POST", "/api/spaces/guarded/exec", { command });
    expect(body.stderr).toBe("");
    // These happen in gVisor's own kernel and reach nothing of the node's.
    const contained = ["a user namespace", "a mount namespace", "a block device node"];
    const own = [...contained, "environment of the first process"];
    const worked = Object.keys(JSON.parse(body.stdout).worked);
    expect(worked.filter((each) => !own.includes(each))).toEqual([]);
  });

  it("has its files: written, read, listed, found, changed, and none of them outside", async () => {
    const ask = async (method: string, path: string, body?: unknown) => {
      const { status, body: answer } = await lab.json(method, `/api/spaces/guarded/${path}`, body);
      return { status, ...answer };
    };
    const data = Buffer.from([0, 10, 255, ...Buffer.from("é\n")]);
    const put = (path: string) =>
      ask("PUT", `file?path=${path}`, { contentBase64: data.toString("base64") });
    const { etag, ...written } = await put("/deep/down/a%20b.bin");
    expect(written).toMatchObject({ status: 200, size: data.length });
    const read = await ask("GET", "file?path=/deep/down/a%20b.bin");
    expect(read).toMatchObject({ contentBase64: data.toString("base64"), etag });
    await lab.sh("guarded", "ln -s /etc out && chmod 750 deep");
    const { entries } = await ask("GET", "files?path=/");
    expect(
      entries.map(({ name, type, mode }: Record<string, string>) => [name, type, mode]),
    ).toEqual(
      expect.arrayContaining([
        ["deep", "dir", "750"],
        ["note", "file", "644"],
        ["out", "symlink", "777"],
      ]),
    );
    const moved = { from: "/deep/down/a b.bin", to: "/deep/b.bin" };
    expect(await ask("POST", "files/move", moved)).toMatchObject({ status: 200 });
    expect(
      await ask("POST", "files/copy", { from: "/deep", to: "/copy", recursive: true }),
    ).toMatchObject({ status: 200 });
    const found = await ask("GET", "files/find?glob=**/*.bin");
    expect(found.entries.map(({ path }: { path: string }) => path).sort()).toEqual([
      "/copy/b.bin",
      "/deep/b.bin",
    ]);
    expect(await ask("DELETE", "files?path=/copy&recursive=true")).toMatchObject({ status: 200 });
    for (const path of ["/out/passwd", "/../etc/passwd", "/out/new"]) {
      expect(await put(path)).toMatchObject({ status: 400 });
      expect(await ask("GET", `file?path=${path}`)).toMatchObject({ status: 400 });
    }
  });

  it("sleeps and wakes", async () => {
    await lab.json("POST", "/api/spaces/guarded/stop");
    const { body } = await lab.json("GET", "/api/spaces/guarded/file?path=/note");
    expect(Buffer.from(body.contentBase64, "base64").toString()).toBe("kept\n");
    expect((await lab.json("GET", "/api/spaces/guarded")).body.space.status).toBe("paused");
    expect((await lab.sh("guarded", "cat note")).stdout).toBe("kept");
  });
});
