import { execFile } from "node:child_process";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cli } from "../support/cli.js";
import { type Daemon, startDaemon } from "../support/daemon.js";

const README = resolve(import.meta.dirname, "../../README.md");

let daemon: Daemon;
let cli: Cli;
beforeAll(async () => {
  daemon = await startDaemon();
  cli = await Cli.of(daemon);
});
afterAll(async () => {
  await cli?.remove();
  await daemon?.stop();
});

it("prints what the README's first session says", async () => {
  const session = /## A first session\n[\s\S]*?```console\n([\s\S]*?)```/.exec(
    await readFile(README, "utf8"),
  )?.[1];
  expect(session).toBeDefined();
  const bin = join(cli.home, "bin");
  await mkdir(bin);
  await symlink(join(cli.root, "dist/cli/main.js"), join(bin, "clawdspace"));
  const env = { ...cli.env, PATH: `${bin}:${cli.env.PATH}` };
  const steps = (session ?? "").split(/^\$ /m).filter(Boolean);
  expect(steps).toHaveLength(6);
  for (const step of steps) {
    const [command = "", ...printed] = step.split("\n");
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", command], { env });
    expect(stderr + stdout, command).toBe(printed.join("\n"));
  }
});
