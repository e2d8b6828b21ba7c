import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cli } from "../support/cli.js";
import { Daemon } from "../support/daemon.js";
import { Person } from "../support/person.js";

let daemon: Daemon;
let cli: Cli;
let path: string;

beforeAll(async () => {
  daemon = await Daemon.start();
  cli = await Cli.of(daemon);
  await daemon.space("development");
  const bin = join(cli.home, "bin");
  await mkdir(bin);
  await writeFile(
    join(bin, "clawdspace"),
    `#!/bin/sh\nexec ${process.execPath} ${cli.main} "$@"\n`,
  );
  await chmod(join(bin, "clawdspace"), 0o755);
  path = `${bin}:${cli.env.PATH}`;
});
afterAll(async () => {
  await cli?.remove();
  await daemon?.stop();
});

it.each([
  ["bash", ["env", "PS1=READY> ", "bash", "--norc"], "READY> "],
  ["zsh", ["env", "PS1=READY> ", "zsh", "-f"], "READY> "],
  ["fish", ["fish", "--no-config", "-C", "function fish_prompt; echo 'READY> '; end"], "READY> "],
])("completes commands and names of spaces in %s", async (shell, command, prompt) => {
  const script = join(cli.home, `completion.${shell}`);
  await writeFile(script, await cli.ok("completion", shell));
  const person = new Person({ ...cli.env, PATH: path });
  try {
    await person.sit(100, 20, ...command);
    await person.sees(/READY>/);
    if (shell === "zsh") await person.type("autoload -Uz compinit && compinit -u -D");
    await person.type(`source ${script}; clear`);
    await person.sees(/^READY>\s*$/);
    await person.tmux("send-keys", "-t", "main", "-l", "clawdspace exe");
    await person.press("Tab");
    await person.sees(/clawdspace exec/);
    await person.tmux("send-keys", "-t", "main", "-l", " dev");
    await person.press("Tab");
    const screen = await person.sees(/exec +development/);
    expect(screen).toContain(`${prompt}clawdspace exec`);
  } finally {
    await person.leave();
  }
});
