import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cli } from "../support/cli.js";
import { Daemon } from "../support/daemon.js";

let daemon: Daemon;
let cli: Cli;

beforeAll(async () => {
  daemon = await Daemon.start();
  cli = await Cli.of(daemon);
  expect(await cli.ok("create", "dev", "--memory", "256m", "-e", "GREETING=hi")).toContain("dev");
});
afterAll(async () => {
  await cli?.remove();
  await daemon?.stop();
});

describe("exec", () => {
  it("runs words by the space's shell, as the old client did, and ends with its exit code", async () => {
    expect(await cli.run(["exec", "dev", "echo $GREETING; echo no >&2; exit 3"])).toMatchObject({
      code: 3,
      stdout: "hi\n",
      stderr: "no\n",
    });
    expect(await cli.ok("exec", "dev", "echo", "a", "|", "tr", "a", "b")).toBe("b\n");
  });

  it("takes what follows -- exactly as it is", async () => {
    const argv = ["a b", "", "'\"$(x)`y`", "two\nlines", "ünïcödé 🦞", "-e", "--", "*"];
    const out = await cli.ok(
      "exec",
      "dev",
      "-e",
      "A=1=2",
      "-w",
      "/tmp",
      "--",
      "sh",
      "-c",
      'printf "%s|" "$A" "$PWD" "$@"',
      "sh",
      ...argv,
    );
    expect(out).toBe(`${["1=2", "/tmp", ...argv].join("|")}|`);
  });

  it("passes bytes both ways, little and much", async () => {
    const little = Buffer.from([0, 255, 10, 13, 0xc3]);
    expect((await cli.run(["exec", "dev", "cat"], { input: little })).bytes).toEqual(little);
    const much = Buffer.alloc(9 * 1024 ** 2, "0123456789abcdef\n\0\xff", "latin1");
    const back = await cli.run(["exec", "dev", "--", "cat"], { input: much });
    expect(back.code).toBe(0);
    expect(back.bytes.equals(much)).toBe(true);
    expect((await cli.json("ps", "dev")).processes).toEqual([]);
  });

  it("ends what it started after the time-out, with 124", async () => {
    const slow = await cli.run(["exec", "dev", "--timeout", "500ms", "--", "sleep", "876"]);
    expect(slow).toMatchObject({ code: 124, stderr: expect.stringContaining("timed out") });
    const left = "until ! pgrep -f 'sleep 87[6]' >/dev/null; do sleep 0.1; done; echo gone";
    expect(await cli.ok("exec", "dev", left)).toBe("gone\n");
  });

  it("ends a shell whose input has ended", async () => {
    expect((await cli.run(["shell", "dev"])).code).toBe(0);
    expect((await cli.run(["shell", "dev"], { input: "exit 3\n" })).code).toBe(3);
  });

  it("leaves a process behind with -d, for ps, logs and kill", async () => {
    const started = await cli.ok(
      "exec",
      "dev",
      "-d",
      "--tag",
      "job",
      "--",
      "sh",
      "-c",
      "echo on; exec sleep 99",
    );
    expect(started).toMatch(/^[0-9a-f]{32}\n$/);
    expect(await cli.ok("ps", "dev")).toMatch(/running .* job .* sh -c/);
    await cli.ok("kill", "dev", "job", "-s", "INT");
    expect(await cli.ok("logs", "-f", "dev", "job")).toBe("on\n");
    expect((await cli.json("ps", "dev")).processes).toMatchObject([{ exitCode: 130, tag: "job" }]);
  });
});

it("speaks JSON on stdout alone, and says what fails with a hint and the right code", async () => {
  expect(await cli.json("list")).toMatchObject({ spaces: [{ name: "dev", status: "running" }] });
  expect(await cli.json("exec", "dev", "echo x; exit 0")).toMatchObject({
    stdout: "x\n",
    exitCode: 0,
  });
  expect((await cli.json("stats")).stats).toMatchObject([{ name: "dev" }]);
  expect(await cli.json("system")).toHaveProperty("docker.version");
  const failures: [string[], number, RegExp][] = [
    [["exec", "nope", "true"], 1, /no space "nope"\.\n.*`clawdspace list`/],
    [["lst"], 2, /unknown command 'lst'/],
    [["create"], 2, /missing required argument/],
    [["create", "dev"], 1, /a space "dev" already/],
    [["create", "x", "--cpus", "many"], 2, /--cpus takes a number, and got "many"/],
    [["destroy", "dev"], 2, /Use -f/],
    [["cp", "a", "b"], 2, /One of the two must be in a space/],
    [["cp", "dev:/f", "no/folder/f"], 1, /no \/f in the space/],
    [["cp", "dev:/etc", "x"], 1, /no \/etc in the space/],
    [["put", "dev:/f", "no-file"], 1, /There is no no-file here/],
    [["create", "x", "--env-file", "no-file"], 1, /There is no no-file here/],
    [["create", "x", "--template", "nope"], 1, /`clawdspace templates list`/],
    [["exec", "dev", "--timeout", "soon", "--", "true"], 2, /takes a duration/],
    [["audit", "--since", "yesterday"], 1, /must be an ISO date/],
    [["list", "-S", "http://127.0.0.1:99999"], 2, /is no address/],
    [["list", "-S", "nowhere"], 2, /no server "nowhere"/],
    [["list", "-o", "yaml"], 2, /Allowed choices are text, json/],
  ];
  for (const [args, code, message] of failures) {
    const failed = await cli.run(args);
    expect(failed, args.join(" ")).toMatchObject({ code, stdout: "" });
    expect(failed.stderr).toMatch(message);
    expect(failed.stderr).not.toMatch(/ at .*\.js:\d/);
  }
  const { code, stdout, stderr } = await cli.run(["-o", "json", "exec", "nope", "true"]);
  expect({ code, stdout, error: JSON.parse(stderr) }).toMatchObject({
    code: 1,
    stdout: "",
    error: { code: "not_found" },
  });
  const away = { CLAWDSPACE_SERVER: "http://127.0.0.1:9" };
  expect(await cli.run(["list"], { env: away })).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/127\.0\.0\.1:9.*\n.*clawdspace up/),
  });
  const wrong = { CLAWDSPACE_SERVER: "ftp://x" };
  expect(await cli.run(["list"], { env: wrong })).toMatchObject({ code: 2, stdout: "" });
  const colours = await cli.run(["list"], { env: { NO_COLOR: "1" } });
  expect(colours.stdout).not.toContain("\x1b");
});

it("finds its key: from stdin, the environment, a profile, the old client's file, this machine's daemon", async () => {
  const bare = { CLAWDSPACE_KEY: "" };
  const list = async (args: string[], env: Record<string, string>, input?: string) =>
    (await cli.run(["list", ...args], { env, ...(input === undefined ? {} : { input }) })).code;
  expect(await list([], bare)).toBe(1);
  expect(await list(["--key-stdin"], bare, `${daemon.key}\n`)).toBe(0);
  expect(await list([], { CLAWDSPACE_KEY: "wrong" })).toBe(1);

  await writeFile(join(cli.home, ".clawdspace"), `CLAWDSPACE_KEY="${daemon.key}"\n`);
  expect(await list([], bare)).toBe(0);
  await writeFile(join(cli.home, ".clawdspace"), "CLAWDSPACE_KEY=wrong\n");
  expect(await list([], bare)).toBe(1);
  await writeFile(join(cli.home, ".clawdspace"), "");

  const folder = join(cli.home, ".config/clawdspace");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "api-key"), `${daemon.key}\n`);
  expect(await list([], bare)).toBe(0);
  // It is this machine's, and goes to no other.
  const { port } = new URL(daemon.url);
  const { stdout } = await cli.run(["-o", "json", "config", "-S", `http://192.0.2.1:${port}`], {
    env: bare,
  });
  expect(JSON.parse(stdout).server.key).toBe(false);
  await writeFile(join(folder, "api-key"), "");

  const nowhere = { ...bare, CLAWDSPACE_SERVER: "" };
  const added = await cli.run(["config", "add", "mine", daemon.url, "--key-stdin"], {
    env: nowhere,
    input: `${daemon.key}\n`,
  });
  expect(added.code).toBe(0);
  const file = join(folder, "cli.json");
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await list([], nowhere)).toBe(0);
  expect(await list(["-S", "mine"], nowhere)).toBe(0);
  await chmod(file, 0o644);
  expect((await cli.run(["config"], { env: nowhere })).stdout).toContain("Others can read");
  expect((await cli.run(["config", "remove", "mine"], { env: nowhere })).code).toBe(0);
  expect(await readFile(file, "utf8")).not.toContain(daemon.key);
});

it("looks for a space on every known server, and asks the one that is named alone", async () => {
  const env = { CLAWDSPACE_SERVER: "", CLAWDSPACE_KEY: daemon.key };
  await cli.run(["config", "add", "far", daemon.url], { env });
  await cli.run(["config", "add", "near", "http://127.0.0.1:9"], { env });
  await cli.run(["config", "use", "near"], { env });
  const found = await cli.run(["exec", "dev", "echo found"], { env });
  expect(found).toMatchObject({ code: 0, stdout: "found\n", stderr: "(on far)\n" });
  expect((await cli.run(["exec", "-S", "near", "dev", "true"], { env })).code).toBe(1);
  const { stdout } = await cli.run(["-o", "json", "servers"], { env });
  expect(JSON.parse(stdout).servers).toMatchObject([
    { name: "near", status: "offline" },
    { name: "far", status: "online" },
  ]);
  for (const name of ["far", "near"]) await cli.run(["config", "remove", name], { env });
});

it("keeps templates, keys and the audit log; looks at the machine; completes names", async () => {
  const yaml = "name: small\nresources: {memory: 128m}\n";
  expect((await cli.run(["templates", "put"], { input: yaml })).code).toBe(0);
  expect(await cli.ok("templates", "get", "small")).toBe(yaml);
  const editor = join(cli.home, "editor");
  await writeFile(editor, "#!/bin/sh\nsed -i s/128m/192m/ $1\n", { mode: 0o755 });
  expect((await cli.run(["templates", "edit", "small"], { env: { EDITOR: editor } })).code).toBe(0);
  expect(await cli.ok("templates", "get", "small")).toContain("192m");
  await cli.ok("templates", "delete", "small");

  const { key, secret } = await cli.json(
    "keys",
    "create",
    "ci",
    "--role",
    "viewer",
    "--space",
    "dev",
  );
  expect(key).toMatchObject({ role: "viewer", spaces: ["dev"] });
  const viewer = { CLAWDSPACE_KEY: secret as string };
  expect(await cli.run(["stop", "dev"], { env: viewer })).toMatchObject({ code: 1 });
  await cli.ok("keys", "revoke", "ci");

  await cli.ok("stop", "dev");
  expect(await cli.json("list")).toMatchObject({ spaces: [{ status: "paused" }] });
  await cli.ok("start", "dev");
  const { events } = await cli.json("audit", "--space", "dev", "-n", "2");
  expect(events.map(({ type }: { type: string }) => type)).toEqual(["space.pause", "space.start"]);
  expect(await cli.ok("audit", "verify")).toContain("all are as they were written");

  const { checks } = await cli.json("doctor");
  const bad = checks.filter(({ status }: { status: string }) => status === "failed");
  expect(bad).toEqual([]);
  const names = checks.map(({ name }: { name: string }) => name);
  // This end's own first, then what the daemon finds.
  expect(names.slice(0, 4)).toEqual(["Command line", "Config", "Daemon", "Key"]);
  expect(names).toEqual(expect.arrayContaining(["Docker Engine", "Firewall", "Disk", "Clock"]));
  expect(await cli.ok("__complete", "--", "clawdspace exec d")).toBe("dev\n");
  expect(await cli.ok("__complete", "--", "clawdspace create x --template rea")).toBe("readonly\n");
  for (const shell of ["bash", "zsh", "fish"]) {
    expect(await cli.ok("completion", shell)).toContain("clawdspace __complete");
  }
  expect(await cli.ok("destroy", "dev", "-f")).toContain("dev is gone");
  expect(await cli.json("list")).toEqual({ spaces: [] });
});
