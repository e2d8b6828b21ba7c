import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type Daemon, docker, freePort, startDaemon } from "../support/daemon.js";
import { type Fate, NodeProxy } from "../support/node-proxy.js";

const CLI = resolve(import.meta.dirname, "../../packages/cli/dist/main.js");
const key = `move-key-${randomBytes(8).toString("hex")}`;
let near: Daemon;
let far: Daemon;
/** Between the near node and the far one. */
let between: NodeProxy;

// Two daemons with namespaces of their own at one engine; each is to the other a node like any.
beforeAll(async () => {
  const [a, b, dead] = [await freePort(), await freePort(), await freePort()];
  between = await NodeProxy.start(`http://127.0.0.1:${b}`);
  const env = { API_KEY: key, NODES_REFRESH_MS: "2000" };
  const list = (url: string) => `a=http://127.0.0.1:${a},b=${url},dead=http://127.0.0.1:${dead}`;
  [near, far] = await Promise.all([
    startDaemon({
      ...env,
      PORT: `${a}`,
      CLAWDSPACE_NODES: list(between.url),
      CLAWDSPACE_NODE_NAME: "a",
    }),
    startDaemon({ ...env, PORT: `${b}`, CLAWDSPACE_NODES: list(`http://127.0.0.1:${b}`) }),
  ]);
  await bothOnline();
}, 60_000);
afterAll(async () => {
  await between?.stop();
  await near?.stop();
  await far?.stop();
});
beforeEach(() => {
  between.fate = () => "pass";
});

const bothOnline = async () => {
  for (const daemon of [near, far]) {
    await vi.waitFor(
      async () => {
        const { nodes } = (await daemon.json("GET", "/api/nodes?refresh=true")).body;
        const online = nodes.filter(({ status }: { status: string }) => status === "online");
        expect(online.map(({ name }: { name: string }) => name).sort()).toEqual(["a", "b"]);
      },
      { timeout: 30_000, interval: 200 },
    );
  }
};

const run = async (daemon: Daemon, name: string, command: string): Promise<string> => {
  const { status, body } = await daemon.json("POST", `/api/spaces/${name}/exec`, { command });
  expect([status, body.exitCode ?? body.error, body.stderr ?? ""]).toEqual([200, 0, ""]);
  return body.stdout;
};

/** What the engine has of a space at a node: finished and unfinished containers, and volumes. */
const leftAt = async ({ namespace }: Daemon, name: string) => {
  const filters = { label: [`clawdspace.namespace=${namespace}`, `clawdspace.space=${name}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  return [
    ...containers.flatMap(({ Names }) => Names),
    ...(Volumes ?? []).map(({ Name }) => Name),
  ].map((each) => each.replace(namespace, ""));
};

const FILES = "cd /workspace && cat note && find . -name 'note*' -links 2 | wc -l";

/** Waits until a space is in one place only, nothing is left of it in the other, and it works there. */
const expectOnly = async (at: Daemon, other: Daemon, name: string, note: string) => {
  await vi.waitFor(
    async () => {
      expect(await leftAt(other, name)).toEqual([]);
      expect(await leftAt(at, name)).toEqual([`/-${name}`, `-vol-${name}`]);
      const { status, body } = await at.json(
        "POST",
        `/api/spaces/${name}@${at === near ? "a" : "b"}/exec`,
        { command: FILES },
      );
      expect([status, body.stdout]).toEqual([200, `${note}\n2`]);
    },
    { timeout: 60_000, interval: 300 },
  );
  expect(await readdir(join(near.folder, "data/moves")).catch(() => [])).toEqual([]);
};

/** A space at the near node that has files, and a process by which it is seen whether it went on. */
const make = async (name: string) => {
  const note = randomBytes(8).toString("hex");
  await near.space(name, { env: { SECRET: `secret-${name}` } });
  await run(
    near,
    name,
    `cd /workspace && echo ${note} > note && ln note note2 && head -c 20000000 /dev/urandom > big`,
  );
  return note;
};

const move = async (daemon: Daemon, name: string, node: string) =>
  await daemon.json("POST", `/api/spaces/${name}/move`, { node });

describe("a move", () => {
  it("takes all files as they are, the environment and the limits, and leaves nothing behind", {
    timeout: 60_000,
  }, async () => {
    const labels = { team: "red" };
    await near.space("wanders", { env: { SECRET: "only-for-it" }, memory: "300m", labels });
    const make = [
      "umask 022; cd /workspace; mkdir -m 750 sub; mkdir -m 1777 sticky; echo one > sub/a; ln sub/a b; chmod 6711 b",
      "ln -s ../../etc/passwd out; ln -s nowhere broken; mkfifo -m 600 pipe; touch $(printf 'sub/\\377\\376')",
      "chmod 4755 $(printf 'sub/\\377\\376'); touch -d 2001-02-03T04:05:06Z old; touch \"$(printf 'x%.0s' $(seq 200))\"",
      "head -c 3000000 /dev/urandom > random; : > empty; chmod 000 empty",
    ].join(" && ");
    await run(near, "wanders", make);
    const tree =
      "cd /workspace && find . -printf '%p %y %m %U:%G %s %l %n\\n' | grep -av bash_history | LC_ALL=C sort | base64 -w0; sha256sum random; stat -c %Y old";
    const before = await run(near, "wanders", tree);
    // Asked for at the other node, by an agent's key.
    const { secret } = (await far.json("POST", "/api/keys", { name: "bot", role: "agent" })).body;
    const headers = { authorization: `Bearer ${secret}` };
    const events = await far.request(
      "POST",
      "/api/spaces/wanders/move",
      { node: "b" },
      {
        headers: { ...headers, "content-type": "application/json", accept: "application/x-ndjson" },
      },
    );
    const lines = (await events.text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)?.error).toBeUndefined();
    expect(lines.at(-1)).toMatchObject({
      type: "space",
      space: { name: "wanders", node: "b", status: "running", memory: 300 * 1024 ** 2, labels },
    });
    expect(lines[0]).toMatchObject({ type: "progress", step: "copy" });
    expect(await leftAt(near, "wanders")).toEqual([]);
    expect(await run(far, "wanders", tree)).toBe(before);
    expect(await run(far, "wanders", "echo $SECRET")).toBe("only-for-it");
    // Found by the node that it left, which knows where it went.
    expect((await near.json("GET", "/api/spaces/wanders")).body.space.memory).toBe(300 * 1024 ** 2);
    const logged = async (daemon: Daemon, type: string) =>
      (await daemon.json("GET", `/api/audit?space=wanders&type=${type}`)).body.events;
    expect(await logged(near, "space.move")).toMatchObject([
      { actor: "key:bot", meta: { node: "b", via: "b", outcome: "ok" } },
    ]);
    expect(await logged(far, "space.arrive")).toMatchObject([
      { actor: "key:bot", meta: { state: "moved", via: "a", outcome: "ok" } },
    ]);
    // And back, since nothing of it was left there.
    expect((await move(near, "wanders", "a")).status).toBe(200);
    expect(await run(near, "wanders", tree)).toBe(before);
    expect(await leftAt(far, "wanders")).toEqual([]);
    expect(near.log + far.log).not.toContain("only-for-it");
    expect((await near.json("DELETE", "/api/spaces/wanders?removeVolume=true")).status).toBe(200);
  });

  it("is refused before anything is touched, saying why", { timeout: 60_000 }, async () => {
    const note = await make("stays");
    await near.json("POST", "/api/spaces/stays/processes", { command: "sleep 1000" });
    const pid = await run(near, "stays", "pgrep sleep");
    const refused = async (name: string, node: string) => {
      const { status, body } = await move(near, name, node);
      return `${status} ${body.code} ${body.error}`;
    };
    expect(await refused("stays", "a")).toMatch(/^409 wrong_state .*on node "a" already/);
    expect(await refused("stays", "none")).toMatch(/^404 not_found .*no node "none"/);
    expect(await refused("stays", "dead")).toMatch(/^502 node_unreachable .*dead/);
    expect(await refused("nowhere", "b")).toMatch(/^404 not_found/);
    expect((await near.json("POST", "/api/spaces/stays/move", {})).status).toBe(400);
    await far.json("POST", "/api/nodes/b/drain");
    expect(await refused("stays", "b")).toMatch(/^409 wrong_state Node "b" can't .*drained/);
    await far.json("POST", "/api/nodes/b/undrain");
    await far.space("stays");
    expect(await refused("stays@a", "b")).toMatch(/^409 exists .*has a space "stays" already/);
    await far.json("DELETE", "/api/spaces/stays@b");
    expect(await refused("stays@a", "b")).toMatch(/^409 exists .*keeps the files of an earlier/);
    await docker.getVolume(`${far.namespace}-vol-stays`).remove();
    // A file that says it is larger than any disk.
    await run(near, "stays", "truncate -s 9T /workspace/huge");
    expect(await refused("stays", "b")).toMatch(/^507 no_space_left .*of disk left/);
    await run(near, "stays", "rm /workspace/huge");
    // A seccomp profile that only the near node has.
    const profiles = join(near.folder, "config");
    await mkdir(profiles, { recursive: true });
    await writeFile(
      join(profiles, "own.json"),
      JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW" }),
    );
    const yaml = "name: confined\ndescription: x\nsecurity:\n  seccomp: own.json\n";
    expect((await near.json("PUT", "/api/templates", { yaml })).status).toBe(200);
    await near.space("confined", { template: "confined" });
    expect(await refused("confined", "b")).toMatch(/^(400|422) \w+ Node "b" can't take .*own/);
    expect((await near.json("DELETE", "/api/spaces/confined?removeVolume=true")).status).toBe(200);
    // What arrives is compared, and thrown away where it isn't what was sent.
    between.fate = ({ path }) => (path.endsWith("/workspace") ? "altered" : "pass");
    expect(await refused("stays", "b")).toMatch(/^422 unprocessable What arrived .* is not what/);
    between.fate = () => "pass";
    // What ran was never ended.
    expect(await run(near, "stays", "pgrep sleep")).toBe(pid);
    await expectOnly(near, far, "stays", note);
    const { secret } = (await near.json("POST", "/api/keys", { name: "eye", role: "viewer" })).body;
    const asViewer = {
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    };
    const viewed = await near.request("POST", "/api/spaces/stays/move", { node: "b" }, asViewer);
    expect(viewed.status).toBe(403);
    const alone = await near.json(
      "POST",
      "/api/peer/moves/stays/00000000-0000-4000-8000-000000000000/commit",
    );
    expect([alone.status, alone.body.code]).toEqual([403, "forbidden"]);
  });
});

describe("a move that is cut off", () => {
  /** Begins a move, and resolves when the other node is asked for what `path` says, which then meets its fate. */
  const begin = async (name: string, path: RegExp, fate: Fate, then: () => Promise<void>) => {
    let met = false;
    between.unheard = then;
    between.fate = async (asked) => {
      if (met && path.source.includes("commit") && path.test(asked.path)) return "lost";
      if (met || !path.test(asked.path)) return "pass";
      met = true;
      // Once the other node has answered, which nobody hears.
      if (fate === "unanswered") return fate;
      if (fate === "stalled") {
        const halfMade = async () => expect(await leftAt(far, name)).toContain(`/.new.${name}`);
        void vi.waitFor(halfMade, { timeout: 30_000, interval: 100 }).then(then);
        return fate;
      }
      await then();
      return fate;
    };
    const answer = move(near, name, "b").catch((error: Error) => ({ status: 0, body: { error } }));
    await vi.waitFor(() => expect(met).toBe(true), 30_000);
    return await answer;
  };
  const heal = async () => {
    between.fate = () => "pass";
    await bothOnline();
  };

  it("leaves the space where it is, running, if the target is killed while it copies", {
    timeout: 90_000,
  }, async () => {
    const note = await make("one");
    await near.json("POST", "/api/spaces/one/processes", { command: "sleep 1000" });
    const pid = await run(near, "one", "pgrep sleep");
    const { status, body } = await begin("one", /workspace$/, "stalled", () => far.kill("SIGKILL"));
    expect([status, body.code]).toEqual([502, "node_unreachable"]);
    expect(await run(near, "one", "pgrep sleep")).toBe(pid);
    await far.run();
    await heal();
    await expectOnly(near, far, "one", note);
    // And then it can be moved.
    expect((await move(near, "one", "b")).status).toBe(200);
    await expectOnly(far, near, "one", note);
  });

  it("leaves the space where it is, awake again, if the source is killed while it copies", {
    timeout: 90_000,
  }, async () => {
    const note = await make("two");
    await begin("two", /workspace$/, "stalled", () => near.kill("SIGKILL"));
    expect(await readdir(join(near.folder, "data/moves"))).toHaveLength(1);
    await near.run();
    await vi.waitFor(
      async () =>
        expect((await near.json("GET", "/api/spaces/two")).body.space.status).toBe("running"),
      { timeout: 20_000, interval: 200 },
    );
    await heal();
    await expectOnly(near, far, "two", note);
  });

  it("is ended by the next daemon if the source is killed before the target may begin", {
    timeout: 90_000,
  }, async () => {
    const note = await make("three");
    await begin("three", /commit$/, "lost", () => near.kill("SIGKILL"));
    await near.run();
    // Not settled, so that nobody uses what may be an old copy.
    const early = await near.json("POST", "/api/spaces/three@a/exec", { command: "true" });
    expect([early.status, early.body.code]).toEqual([409, "wrong_state"]);
    expect((await near.json("DELETE", "/api/spaces/three@a")).status).toBe(409);
    await heal();
    await expectOnly(far, near, "three", note);
  });

  it("goes back to the source if the target is killed before it may begin", {
    timeout: 90_000,
  }, async () => {
    const note = await make("four");
    const { status, body } = await begin("four", /commit$/, "lost", () => far.kill("SIGKILL"));
    expect([status, body.code]).toEqual([502, "node_unreachable"]);
    expect(body.error).toContain("doesn't say whether it keeps it");
    await far.run();
    await heal();
    await expectOnly(near, far, "four", note);
  });

  it("is done if the source is killed before it hears so", { timeout: 90_000 }, async () => {
    const note = await make("five");
    await begin("five", /commit$/, "unanswered", () => near.kill("SIGKILL"));
    await near.run();
    await heal();
    await expectOnly(far, near, "five", note);
  });

  it("is done if the target is killed before it can say so", { timeout: 90_000 }, async () => {
    const note = await make("six");
    const { status } = await begin("six", /commit$/, "unanswered", () => far.kill("SIGKILL"));
    expect(status).toBe(502);
    await far.run();
    await heal();
    await expectOnly(far, near, "six", note);
    const { events } = (await near.json("GET", "/api/audit?space=six&type=space.move")).body;
    expect(events.at(-1)).toMatchObject({ actor: "system", meta: { node: "b", outcome: "ok" } });
  });

  it("brings no old copy back if the space is removed there before the source hears that it was", {
    timeout: 90_000,
  }, async () => {
    await make("eight");
    await begin("eight", /commit$/, "unanswered", () => near.kill("SIGKILL"));
    expect((await far.json("DELETE", "/api/spaces/eight@b?removeVolume=true")).status).toBe(200);
    // Not even where the other daemon is another one by then.
    await far.restart();
    await near.run();
    await heal();
    await vi.waitFor(
      async () => {
        for (const daemon of [near, far]) expect(await leftAt(daemon, "eight")).toEqual([]);
      },
      { timeout: 30_000, interval: 300 },
    );
    expect((await near.json("GET", "/api/spaces/eight")).status).toBe(404);
  });

  it("can be taken back if the target never comes back", {
    timeout: 90_000,
  }, async () => {
    const note = await make("nine");
    const { status } = await begin("nine", /commit$/, "lost", () => far.kill("SIGKILL"));
    expect(status).toBe(502);
    expect((await near.json("POST", "/api/spaces/nine@a/exec", { command: "true" })).status).toBe(
      409,
    );
    const env = { ...process.env, CLAWDSPACE_SERVER: near.url, CLAWDSPACE_KEY: key };
    await promisify(execFile)(process.execPath, [CLI, "move", "nine", "--abandon"], { env });
    expect(await run(near, "nine", "cat /workspace/note")).toBe(note);
    expect(await readdir(join(near.folder, "data/moves"))).toEqual([]);
    const again = await near.json("DELETE", "/api/spaces/nine@a/move");
    expect([again.status, again.body.code]).toEqual([409, "wrong_state"]);
    await far.run();
    await heal();
    await expectOnly(near, far, "nine", note);
  });

  it("is not taken back where the target answers that it has the space", {
    timeout: 90_000,
  }, async () => {
    const note = await make("ten");
    await begin("ten", /commit$/, "unanswered", () => near.kill("SIGKILL"));
    // As if the target were gone until just before it is asked for.
    between.fate = () => "lost";
    await near.run();
    expect((await near.json("GET", "/api/spaces/ten@a")).body.space.status).toBe("paused");
    between.fate = () => "pass";
    const { body } = await near.json("DELETE", "/api/spaces/ten@a/move");
    expect(body.code).toBe("wrong_state");
    await heal();
    await expectOnly(far, near, "ten", note);
  });

  it("is given up if who asked for it goes away", { timeout: 60_000 }, async () => {
    const note = await make("seven");
    const leave = new AbortController();
    between.fate = ({ path }) => {
      if (path.endsWith("/workspace")) leave.abort();
      return path.endsWith("/workspace") ? "stalled" : "pass";
    };
    const asked = near.request(
      "POST",
      "/api/spaces/seven/move",
      { node: "b" },
      { signal: leave.signal, headers: { "content-type": "application/json" } },
    );
    await expect(asked).rejects.toThrow();
    between.fate = () => "pass";
    await vi.waitFor(
      async () => expect(await readdir(join(near.folder, "data/moves"))).toEqual([]),
      30_000,
    );
    const [at, other] = (await leftAt(near, "seven")).length > 0 ? [near, far] : [far, near];
    expect(at).toBe(near);
    await expectOnly(at, other, "seven", note);
  });
});
