import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cli } from "../support/cli.js";
import { type Daemon, startDaemon } from "../support/daemon.js";

const ROOT = resolve(import.meta.dirname, "../..");
/** How long what never ends by itself is listened to. */
const LISTEN_S = 2;
const TIMED_OUT = 124;

let daemon: Daemon;
let cli: Cli;
let env: Record<string, string>;
let usage: string;

beforeAll(async () => {
  daemon = await startDaemon();
  cli = await Cli.of(daemon);
  usage = await readFile(join(ROOT, "docs/USAGE.md"), "utf8");
  const bin = join(cli.home, "bin");
  await mkdir(bin);
  await symlink(join(cli.root, "dist/cli/main.js"), join(bin, "clawdspace"));
  // As a person's curl, but an answer that is an error fails.
  const { stdout } = await promisify(execFile)("which", ["curl"]);
  const curl = `#!/bin/sh\nexec ${stdout.trim()} --fail-with-body "$@"\n`;
  await writeFile(join(bin, "curl"), curl);
  await chmod(join(bin, "curl"), 0o755);
  const config = join(cli.home, ".config/clawdspace");
  await mkdir(config, { recursive: true });
  await writeFile(join(config, "api-key"), `${daemon.key}\n`);
  await writeFile(join(cli.home, "README.md"), "# Read me\n");
  env = { ...cli.env, PATH: `${bin}:${cli.env.PATH}` };
});
afterAll(async () => {
  await cli?.remove();
  await daemon?.stop();
});

/** Runs it as a person's shell would, from home; its stdout and stderr as they would be seen. */
async function shell(command: string): Promise<{ code: number; output: string }> {
  const here = command.replaceAll("localhost:7777", new URL(daemon.url).host);
  return await new Promise((done) => {
    execFile("bash", ["-c", here], { env, cwd: cli.home }, (error, stdout, stderr) => {
      done({ code: error ? Number(error.code) : 0, output: stderr + stdout });
    });
  });
}

it("prints what the README's first session says", async () => {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const [session = ""] = blocks(readme, "console", "A first session");
  const steps = session.split(/^\$ /m).filter(Boolean);
  expect(steps).toHaveLength(6);
  for (const step of steps) {
    const [command = "", ...printed] = step.split("\n");
    expect(await shell(command), command).toEqual({ code: 0, output: printed.join("\n") });
  }
});

describe("every command of docs/USAGE.md", () => {
  const sections = {
    Spaces: 8,
    Commands: 5,
    Files: 5,
    Templates: 2,
    "Audit log": 5,
    "Events, webhooks and metrics": 2,
    Keys: 3,
  };
  for (const [section, count] of Object.entries(sections)) {
    it(`does what it says: ${section}`, async () => {
      const lines = blocks(usage, "sh", section).flatMap((block) => block.trimEnd().split("\n"));
      expect(lines).toHaveLength(count);
      for (const line of lines) await expectTrue(line);
    });
  }

  it("does what it says: Git", async () => {
    const lines = blocks(usage, "sh", "Git").flatMap((block) => block.trimEnd().split("\n"));
    expect(lines).toHaveLength(6);
    // What needs a server of others is tested with one of our own; the repository that it would have cloned is made here.
    const clone =
      "git init -q -b master hello && cd hello && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x";
    await cli.ok("exec", "dev", clone);
    const alone = lines.filter((line) => !/\/git\/(clone|pull|push) /.test(line));
    expect(alone).toHaveLength(3);
    for (const line of alone) {
      if (line.includes("/git/commit ")) await cli.ok("exec", "dev", "cd hello && echo 1 > one");
      await expectTrue(line);
    }
  });

  it("shows a template that is one", async () => {
    const [yaml = ""] = blocks(usage, "yaml", "Templates");
    expect(await cli.run(["templates", "put"], { input: yaml })).toMatchObject({ code: 0 });
    expect(await cli.ok("templates", "get", "careful")).toContain("allowDomains");
  });
});

/** Runs a line; what its comment says of the answer has to be in the answer. */
async function expectTrue(line: string): Promise<void> {
  const [before = ""] = blocks(usage, "sh", "Usage");
  const endless = line.includes("/api/events");
  const wanted = endless ? `timeout ${LISTEN_S} curl` : "curl";
  const script = `${before.replace("curl", wanted)}\n${line}`;
  const { code, output } = await shell(script);
  expect(code, `${line}\n${output}`).toBe(endless ? TIMED_OUT : 0);
  const said = /# ("\w+": \w+)/.exec(line)?.[1];
  if (said) expect(output).toContain(said.replace(": ", ":"));
}

/** The fenced blocks of a language in a document's section, before its first sub-section. */
function blocks(document: string, language: string, section: string): string[] {
  const [, after = ""] = document.split(new RegExp(`^#+ ${section}\\n`, "m"));
  const [text = ""] = after.split(/^#+ /m);
  const fenced = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm");
  return [...text.matchAll(fenced)].map(([, block = ""]) => block);
}
