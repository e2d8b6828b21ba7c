import { execFile } from "node:child_process";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cli } from "../support/cli.js";
import { Daemon, docker, dockerHost, removeNamespace } from "../support/daemon.js";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");
const BUILT = join(ROOT, "packages/cli/build/package");

let daemon: Daemon;
let cli: Cli;

beforeAll(async () => {
  daemon = await Daemon.start();
  cli = await Cli.of(daemon);
});
afterAll(async () => {
  await cli?.remove();
  await daemon?.stop();
});

async function volumesOf(namespace: string): Promise<string[]> {
  const filters = { label: [`clawdspace.namespace=${namespace}`] };
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  return (Volumes ?? []).map(({ Name }) => Name).sort();
}

/** The volume that a container has on its workspace. */
async function volumeBehind(container: string): Promise<string | undefined> {
  const { Mounts } = await docker.getContainer(container).inspect();
  return Mounts.find(({ Destination }) => Destination === "/workspace")?.Name;
}

it("runs the client's examples as docs/CLIENT.md has them", async () => {
  const text = await readFile(join(ROOT, "docs/CLIENT.md"), "utf8");
  const blocks = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);
  // The address is the one difference: the test's daemon has a port of its own.
  const script = blocks.join("\n").replace("http://localhost:7777", daemon.url);
  const file = join(cli.root, "../../examples.mjs");
  await writeFile(file, script);
  const { stdout } = await run(process.execPath, [file], { env: cli.env });
  await rm(file);
  expect(
    stdout
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean),
  ).toEqual([
    "hello",
    "3",
    "out one",
    "err two",
    "exit 0",
    "TimeoutError",
    "count 1",
    "count 2",
    "count 3",
    "exited 0",
    "hello",
    "[ '/app/greeting.txt' ]",
    "shell 4",
    "path",
    "space.paused",
    "not_found 404",
  ]);
});

it("holds what the sandbox image is made of, and prints a unit for systemd", async () => {
  // As built, too: `npm install -g` of its folder only links to it.
  expect((await stat(join(BUILT, "dist/cli/main.js"))).mode & 0o111).toBe(0o111);
  for (const part of ["docker", "packages/guest/src"]) {
    await run("diff", ["-r", join(ROOT, part), join(cli.root, part)]);
  }
  const { file, unit } = await cli.json("service", "install", "--print");
  expect(file).toBe("/etc/systemd/system/clawdspace.service");
  expect(unit).toContain(
    `ExecStart="${process.execPath}" "${cli.root}/packages/api/dist/index.js"`,
  );
  expect(unit).toMatch(/^NoNewPrivileges=yes$/m);
  expect(unit).toMatch(/^CapabilityBoundingSet=CAP_/m);
  expect(unit).not.toContain(daemon.key);
  // As systemd itself reads it: it complains of nothing, and finds little that the daemon may do.
  const path = join(cli.home, "clawdspace.service");
  await writeFile(path, unit);
  const verified = await run("systemd-analyze", ["verify", path]);
  expect(verified.stdout + verified.stderr).toBe("");
  const judged = await run("systemd-analyze", ["security", "--offline=true", path]);
  const [, exposure] = judged.stdout.match(/exposure level for .*: ([\d.]+)/) ?? [];
  expect(Number(exposure)).toBeLessThan(7);
});

it("removes nothing beside a daemon that it can't end itself", async () => {
  const { port } = new URL(daemon.url);
  const env = {
    PORT: port,
    CLAWDSPACE_NAMESPACE: `${daemon.namespace}-none`,
    DOCKER_HOST: dockerHost,
  };
  const { code, stderr } = await cli.run(["uninstall", "-f", "--volumes"], { env });
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(`serves at http://localhost:${port}`),
  ]);
});

it("brings a daemon up and down, keeps spaces and key, and takes itself away", async () => {
  const namespace = `${daemon.namespace}-up`;
  const image = docker.getImage("clawdspace:latest");
  // Named so that the set-up takes the image as it is.
  const tag = `${namespace}:test`;
  await image.tag({ repo: namespace, tag: "test" });
  const env = {
    CLAWDSPACE_SERVER: "",
    CLAWDSPACE_KEY: "",
    CLAWDSPACE_NAMESPACE: namespace,
    CLAWDSPACE_IMAGE: tag,
    DOCKER_HOST: dockerHost,
    PORT: `${20_000 + (process.pid % 20_000)}`,
  };
  const ok = async (...args: string[]) => {
    const { code, stdout, stderr } = await cli.run(args, { env });
    expect(code, `${args.join(" ")}: ${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const json = async (...args: string[]) => JSON.parse(await ok("-o", "json", ...args));
  try {
    const up = await json("up", "-d");
    expect(up).toMatchObject({ started: true, url: `http://localhost:${env.PORT}` });
    // Without configuration: the daemon's key is found on its own machine.
    await ok("create", "kept", "-m", "128m");
    await ok("exec", "kept", "echo kept > file");
    // One that waited in the pool, which has its files in a volume of the pool's.
    for (let claimed = false; !claimed; ) {
      await ok("create", "warm");
      const { Config } = await docker.getContainer(`${namespace}-warm`).inspect();
      claimed = Config.Labels["clawdspace.pool"] !== undefined;
      if (!claimed) await ok("destroy", "warm", "-f");
    }
    await ok("exec", "warm", "echo warm > file");
    const backing = await volumeBehind(`${namespace}-warm`);
    expect(await json("up", "-d")).toMatchObject({ started: false });

    await ok("down");
    expect((await cli.run(["list"], { env })).code).toBe(1);
    expect((await cli.run(["down"], { env })).code).toBe(1);
    const { State } = await docker.getContainer(`${namespace}-kept`).inspect();
    expect(State.Running).toBe(true);

    await ok("up", "-d");
    expect(await ok("exec", "kept", "cat file")).toBe("kept\n");
    expect((await cli.run(["uninstall"], { env })).code).toBe(2);
    // A clean-up of the engine may have taken the name by which the volume is known as the space's.
    await docker.getVolume(`${namespace}-vol-warm`).remove();
    const kept = await json("uninstall", "-f");
    const names = [`${namespace}-vol-kept`, `${namespace}-vol-warm`];
    expect(kept.keptVolumes.sort()).toEqual(names);
    expect(await volumesOf(namespace)).toEqual([backing, ...names].sort());
    expect((await cli.run(["list"], { env })).code).toBe(1);

    // The files are still there for the next one.
    await ok("up", "-d");
    await ok("create", "kept", "-m", "128m");
    expect(await ok("exec", "kept", "cat file")).toBe("kept\n");
    await ok("create", "warm");
    expect(await ok("exec", "warm", "cat file")).toBe("warm\n");
    await ok("uninstall", "-f", "--volumes");
    const filters = { label: [`clawdspace.namespace=${namespace}`] };
    expect(await docker.listContainers({ all: true, filters })).toEqual([]);
    expect(await volumesOf(namespace)).toEqual([]);
    expect(await docker.listNetworks({ filters: JSON.stringify(filters) })).toEqual([]);
  } finally {
    await cli.run(["down"], { env });
    await removeNamespace(namespace);
    await docker.getImage(tag).remove();
  }
});
