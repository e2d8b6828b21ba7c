import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Daemon, startDaemon } from "../support/daemon.js";

const README = resolve(import.meta.dirname, "../../README.md");

let daemon: Daemon;
beforeAll(async () => {
  daemon = await startDaemon();
});
afterAll(() => daemon.stop());

it("does what the README's first session says", async () => {
  const session = /## A first session\n+```sh\n([\s\S]*?)```/.exec(
    await readFile(README, "utf8"),
  )?.[1];
  expect(session).toBeDefined();
  const home = join(daemon.folder, "home");
  await mkdir(join(home, ".config/clawdspace"), { recursive: true });
  await writeFile(join(home, ".config/clawdspace/api-key"), daemon.key);
  // The address is the one difference: the test's daemon has a port of its own.
  const script = (session ?? "").replaceAll("localhost:7777", new URL(daemon.url).host);
  const answers: unknown[] = [];
  const { stdout } = await promisify(execFile)(
    "bash",
    ["-ec", script.replaceAll(/$/gm, "\necho")],
    {
      env: { PATH: process.env.PATH ?? "", HOME: home },
    },
  );
  for (const line of stdout.split("\n")) if (line) answers.push(JSON.parse(line));
  expect(answers).toEqual([
    { space: expect.objectContaining({ name: "dev", status: "running" }) },
    {
      stdout: expect.stringMatching(/^Python 3\.\d+\.\d+\nv\d+\.\d+\.\d+\ngit version \d/),
      stderr: "",
      exitCode: 0,
    },
    { message: expect.stringContaining("paused") },
    { stdout: "awake again", stderr: "", exitCode: 0 },
    { message: expect.stringContaining("removed") },
  ]);
});
