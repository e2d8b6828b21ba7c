import { readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, expectError } from "../support/answers.js";
import { type Daemon, docker, startDaemon } from "../support/daemon.js";
import { isClaimed, poolOf, until, untilReady } from "../support/pool.js";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon({ CLAWDSPACE_POOL: "1" });
  await untilReady(daemon);
});
afterAll(() => daemon.stop());

const create = (name: string, options: object = {}) =>
  ask(daemon, "POST", "/api/spaces", { name, ...options });
const exec = async (space: string, command: string) => {
  const { status, body } = await ask(daemon, "POST", `/api/spaces/${space}/exec`, { command });
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
};
const remove = async (name: string, volume = true) => {
  const path = `/api/spaces/${name}?removeVolume=${volume}`;
  expect((await ask(daemon, "DELETE", path)).status).toBe(200);
};
const volumes = async () => {
  const filters = { label: [`clawdspace.namespace=${daemon.namespace}`] };
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  return (Volumes ?? []).map(({ Name }) => Name.slice(daemon.namespace.length + 1)).sort();
};
const volumeOf = (space: string) => docker.getVolume(`${daemon.namespace}-vol-${space}`);
const inspect = (space: string) => docker.getContainer(`${daemon.namespace}-${space}`).inspect();
/** Makes a space of the container that waits. */
const claim = async (name: string, options: object = {}) => {
  await untilReady(daemon);
  const { status, body } = await create(name, options);
  expect(status, JSON.stringify(body)).toBe(201);
  expect(await isClaimed(daemon, name)).toBe(true);
  return body.space;
};

describe("a claimed space", () => {
  const FACTS = `hostname; cat /etc/hostname; getent hosts "$(hostname)" | wc -l; id; pwd; env | sort | grep -v ID=;
    stat -c '%U:%G %a' /workspace; grep -E '^Cap|NoNewPrivs|Seccomp:' /proc/self/status; cat /proc/1/comm;
    awk '{ print $5, $6 }' /proc/self/mountinfo | sort; cat /proc/sys/kernel/hostname; ls -A /workspace /tmp; ps -e | wc -l`;

  test("is as one made anew, to the API, to the engine and from inside; two creates at once share no container", async () => {
    await untilReady(daemon);
    const options = { cpus: 0.5, env: { TOKEN: "x" }, labels: { a: "b" }, description: "same" };
    const answers = await Promise.all([create("warm-box", options), create("cold-box", options)]);
    expect(answers.map(({ status }) => status)).toEqual([201, 201]);
    const claimed = await Promise.all([
      isClaimed(daemon, "warm-box"),
      isClaimed(daemon, "cold-box"),
    ]);
    expect([...claimed].sort()).toEqual([false, true]);

    const facts = async (name: string) => {
      const text = (value: unknown) => JSON.parse(JSON.stringify(value).replaceAll(name, "NAME"));
      const { body } = await ask(daemon, "GET", `/api/spaces/${name}`);
      const { created, started, lastActivity, sleepsAt, id, security, ...space } = body.space;
      expect(Date.parse(started)).toBeGreaterThanOrEqual(Date.parse(created));
      expect(Date.parse(lastActivity)).toBeGreaterThanOrEqual(Date.parse(created));
      expect(Date.parse(sleepsAt)).toBeGreaterThan(Date.parse(lastActivity));
      const { network, ...confined } = security;
      const { address, checkedAt, ...policy } = network;
      const { HostConfig, Config, Mounts, NetworkSettings } = await inspect(name);
      expect(NetworkSettings.Networks[`${daemon.namespace}-net`]?.IPAddress).toBe(address);
      const { Mounts: mounts, ...host } = HostConfig as typeof HostConfig & { Mounts: object[] };
      const { Labels: _labels, Hostname: _hostname, ...config } = Config;
      const volumeOptions = mounts.map((each) => ({ ...each, Source: "", VolumeOptions: "" }));
      const seen = [...Mounts]
        .sort((a, b) => a.Destination.localeCompare(b.Destination))
        .map(({ Type, Destination, RW, Driver, Propagation }) => ({
          ...{ Type, Destination, RW, Driver, Propagation },
        }));
      const inside = await exec(name, FACTS);
      return text({ space, confined, policy, host, volumeOptions, config, seen, inside });
    };
    const [one, two] = [await facts("warm-box"), await facts("cold-box")];
    expect(one).toEqual(two);
    expect(one.inside.stdout).toMatch(/^NAME\nNAME\n1\nuid=1001/);
    expect(one.confined.limits).toMatchObject({ cpus: 0.5, memoryBytes: 2 * 1024 ** 3 });
    const list = (await ask(daemon, "GET", "/api/spaces")).body.spaces;
    expect(list.map(({ name }: { name: string }) => name).sort()).toEqual(["cold-box", "warm-box"]);
    expectError(await create("warm-box"), "exists");
    await Promise.all([remove("warm-box"), remove("cold-box")]);
  });

  test("reaches no more before it is claimed than its template lets, and after that what its own policy says", async () => {
    const server = createServer((_request, response) => response.end("reached"));
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    try {
      await untilReady(daemon);
      const { IPAM } = await docker.getNetwork(`${daemon.namespace}-net`).inspect();
      const gateway = IPAM?.Config?.[0]?.Gateway;
      const network = { mode: "internet", allowCidrs: [`${gateway}/32`] };
      const yaml = `name: node\nresources: {memory: 2g}\nnetwork: ${JSON.stringify(network)}\n`;
      expect((await ask(daemon, "PUT", "/api/templates", { yaml })).status).toBe(200);
      const probe = `curl -s -m 5 http://${gateway}:${port}/`;
      const [member] = await poolOf(daemon);
      const raw = await docker.getContainer(member?.id ?? "").exec({ Cmd: ["sh", "-c", probe] });
      await raw.start({ Detach: true });
      await until("the probe ended", async () => !(await raw.inspect()).Running);
      expect((await raw.inspect()).ExitCode).not.toBe(0);
      await claim("open", { template: "node" });
      expect(await exec("open", probe)).toMatchObject({ stdout: "reached", exitCode: 0 });
      await claim("shut");
      expect((await exec("shut", probe)).exitCode).not.toBe(0);
      await Promise.all([remove("open"), remove("shut")]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test("keeps its volume under its name, goes on with it, and leaves nothing when that is removed", async () => {
    await claim("kept");
    await exec("kept", "echo data > note");
    await remove("kept", false);
    expect(await volumes()).toContain("vol-kept");
    // Whoever mounts the volume by its name sees what is in it.
    const [reader, output] = await docker.run(
      "clawdspace:latest",
      ["sh", "-c", "test $(cat /v/note) = data"],
      [],
      { HostConfig: { Binds: [`${daemon.namespace}-vol-kept:/v`], AutoRemove: false } },
    );
    expect(reader.StatusCode, String(output)).toBe(0);
    await docker.getContainer(output.id).remove();
    await untilReady(daemon);
    expect((await create("kept")).status).toBe(201);
    expect(await isClaimed(daemon, "kept")).toBe(false);
    expect((await exec("kept", "cat note; echo more > note")).stdout).toBe("data");
    // A clean-up of the engine takes no data of a space that is there.
    await docker.pruneVolumes({
      filters: JSON.stringify({ label: [`clawdspace.namespace=${daemon.namespace}`] }),
    });
    expect((await exec("kept", "cat note")).stdout).toBe("more");
    await remove("kept");
    await until("nothing is left", async () => {
      const left = await volumes();
      return left.filter((name) => !name.startsWith("guest-")).length <= 1;
    });
    expect((await volumes()).filter((name) => name.startsWith("vol-"))).toEqual([]);
  });

  test("is all it was after the daemon was killed, its volume's name was pruned, and its container was stopped", async () => {
    const options = {
      env: { TOKEN: "secret" },
      labels: { a: "b" },
      description: "mine",
      cpus: 0.5,
    };
    const { lastActivity: _activity, sleepsAt: _then, ...space } = await claim("whole", options);
    await exec("whole", "echo data > note");
    await volumeOf("whole").remove();
    await daemon.restart("SIGKILL");
    const found = (await ask(daemon, "GET", "/api/spaces/whole")).body.space;
    expect(found).toMatchObject(space);
    await until("its volume is there again", async () => (await volumes()).includes("vol-whole"));
    // Without the daemon's files the volume's label tells the same.
    await daemon.kill("SIGKILL");
    for (const file of await readdir(join(daemon.folder, "data", "claims"))) {
      await rm(join(daemon.folder, "data", "claims", file));
    }
    await docker.getContainer(`${daemon.namespace}-whole`).stop({ t: 1 });
    await daemon.run();
    const again = await exec(
      "whole",
      "hostname; getent hosts whole | wc -l; cat note; echo $TOKEN",
    );
    expect(again.stdout).toBe("whole\n1\ndata\nsecret");
    const { body } = await ask(daemon, "GET", "/api/spaces/whole");
    expect(body.space).toMatchObject({ created: space.created, labels: { a: "b" }, cpus: 0.5 });
    await remove("whole");
  });
});

describe("what waits", () => {
  test("is no space, sleeps and wakes, and is replaced where it died", async () => {
    await untilReady(daemon);
    const [member] = await poolOf(daemon);
    expect((await ask(daemon, "GET", "/api/spaces")).body.spaces).toEqual([]);
    await docker.getContainer(member?.id ?? "").pause();
    await claim("woken");
    expect((await exec("woken", "echo awake")).stdout).toBe("awake");
    await untilReady(daemon);
    const [next] = await poolOf(daemon);
    await docker.getContainer(next?.id ?? "").remove({ force: true });
    expect((await create("anew")).status).toBe(201);
    expect((await exec("anew", "echo here")).stdout).toBe("here");
    await untilReady(daemon);
    await Promise.all([remove("woken"), remove("anew")]);
  });

  test("is not used for what it doesn't fit exactly, and then that waits too", async () => {
    await untilReady(daemon);
    expect((await create("small", { memory: "128m" })).status).toBe(201);
    expect(await isClaimed(daemon, "small")).toBe(false);
    expect((await exec("small", "df -B1 --output=size /tmp | tail -1")).stdout).toMatch(
      /\b67108864\b/,
    );
    for (const name of ["small2", "small3"])
      expect((await create(name, { memory: "128m" })).status).toBe(201);
    await until("one of the size that is asked for most", async () => {
      const [member] = await poolOf(daemon);
      const found =
        member &&
        (await docker
          .getContainer(member.id)
          .inspect()
          .catch(() => undefined));
      return found?.HostConfig.Memory === 128 * 1024 ** 2;
    });
    await untilReady(daemon);
    await claim("small4", { memory: "128m" });
    await Promise.all(["small", "small2", "small3", "small4"].map((name) => remove(name)));
  });

  test("goes with the daemon, and is swept where the daemon was killed", async () => {
    await until("there is one", async () => (await poolOf(daemon)).length > 0);
    const before = (await poolOf(daemon)).map(({ id }) => id);
    await daemon.restart("SIGKILL");
    await until("others wait", async () => {
      const now = (await poolOf(daemon)).map(({ id }) => id);
      return now.length === 1 && !before.includes(now[0] ?? "");
    });
    await untilReady(daemon);
    await daemon.kill("SIGTERM");
    expect(await poolOf(daemon)).toEqual([]);
    expect((await volumes()).filter((name) => !name.startsWith("guest-"))).toEqual([]);
    await daemon.run();
  });
});
