import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Cli } from "../support/cli.js";
import { type Daemon, freePort, startDaemon } from "../support/daemon.js";

const key = `fleet-key-${randomBytes(8).toString("hex")}`;
let near: Daemon;
let far: Daemon;
let cli: Cli;

// Two daemons with namespaces of their own at one engine; each is to the other a node like any. The command line knows the
// near one alone.
beforeAll(async () => {
  const [a, b, dead] = [await freePort(), await freePort(), await freePort()];
  const nodes = `a=http://127.0.0.1:${a},b=http://127.0.0.1:${b},dead=http://127.0.0.1:${dead}`;
  const env = { API_KEY: key, CLAWDSPACE_NODES: nodes, NODES_REFRESH_MS: "2000" };
  [near, far] = await Promise.all([
    startDaemon({ ...env, PORT: `${a}` }),
    startDaemon({ ...env, PORT: `${b}` }),
  ]);
  cli = await Cli.of(near);
  const states = async () =>
    (await cli.json("nodes", "--refresh")).nodes
      .map(({ name, state }: { name: string; state: string }) => `${name} ${state}`)
      .sort();
  const all = ["a online", "b online", "dead offline"];
  await vi.waitFor(async () => expect(await states()).toEqual(all), 30_000);
});
afterAll(async () => {
  await cli?.remove();
  await near?.stop();
  await far?.stop();
});

const create = (name: string, node: string) =>
  cli.run(["create", name, "--memory", "256m", "--node", node]);
const names = async (node: string): Promise<string[]> =>
  (await cli.json("list", "--node", node)).spaces.map(({ name }: { name: string }) => name);

it("makes, lists and uses spaces of another node, and moves them with their files", async () => {
  expect(await create("one", "b")).toMatchObject({ code: 0, stdout: expect.stringMatching(/one/) });
  expect([await names("a"), await names("b"), await names("all")]).toEqual([[], ["one"], ["one"]]);
  const all = await cli.run(["list", "--node", "all"]);
  expect(all.stdout).toMatch(/NODE\n.*one .* b\n/);
  expect(all.stderr).toMatch(/dead/);

  const bytes = randomBytes(300_000);
  expect((await cli.run(["cp", "-", "one:/bytes"], { input: bytes })).code).toBe(0);
  expect(await cli.ok("exec", "one@b", "wc -c < bytes")).toBe("300000\n");

  expect(await cli.run(["move", "one", "a"])).toMatchObject({
    code: 0,
    stdout: "✓ one is on a\n",
  });
  expect([await names("a"), await names("b")]).toEqual([["one"], []]);
  const kept = await cli.run(["cp", "one:/bytes", "-"]);
  expect(kept.bytes.equals(bytes)).toBe(true);
  expect(await cli.json("move", "one", "b")).toMatchObject({ space: { name: "one" } });
  expect(await cli.ok("exec", "one", "wc -c < bytes")).toBe("300000\n");
  expect(await cli.ok("destroy", "one", "-f")).toContain("one is gone");
  expect(await names("all")).toEqual([]);
});

it("keeps spaces off a node that is drained, until that is ended", async () => {
  expect(await cli.ok("nodes", "drain", "a")).toMatch(/^✓ .*given no new spaces/);
  expect(await cli.ok("nodes")).toMatch(/^a +online, drained /m);
  expect(await create("two", "auto")).toMatchObject({ code: 0 });
  expect([await names("a"), await names("b")]).toEqual([[], ["two"]]);
  const refused = await cli.run(["move", "two", "a"]);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toMatch(/drained/);
  expect((await cli.json("nodes", "undrain", "a")).message).toMatch(/takes new spaces/);
  expect(await cli.ok("nodes")).toMatch(/^a +online /m);
  expect((await cli.run(["move", "two", "a"])).code).toBe(0);
  expect([await names("a"), await names("b")]).toEqual([["two"], []]);
});

it("says what is wrong with a node or a space that is named", async () => {
  const failures: [string[], RegExp][] = [
    [["create", "x", "--node", "nope"], /nope/],
    [["create", "x", "--node", "dead"], /dead/],
    [["move", "nope", "b"], /nope/],
    [["move", "two", "nope"], /nope/],
    [["move", "two", "dead"], /dead/],
    [["nodes", "drain", "nope"], /nope/],
    [["list", "--node", "nope"], /nope/],
  ];
  for (const [args, message] of failures) {
    const failed = await cli.run(args);
    expect(failed, args.join(" ")).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr, args.join(" ")).toMatch(message);
    expect(failed.stderr).not.toMatch(/ at .*\.js:\d/);
  }
  expect(await cli.run(["move", "two"])).toMatchObject({ code: 2, stdout: "" });
  expect(await names("a")).toEqual(["two"]);
});
