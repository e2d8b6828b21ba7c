import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cli } from "../support/cli.js";
import { Daemon } from "../support/daemon.js";
import { Person } from "../support/person.js";

const run = promisify(execFile);

let daemon: Daemon;
let cli: Cli;
let person: Person;

beforeAll(async () => {
  daemon = await Daemon.start();
  cli = await Cli.of(daemon);
  await daemon.space("dev");
  person = new Person(cli.env);
  await person.sit(100, 30, "env", "PS1=HOST> ", "bash", "--norc");
  await person.type(`clawdspace() { ${process.execPath} ${cli.main} "$@"; }`);
  await person.sees(/HOST>$/);
});
afterAll(async () => {
  await person?.leave();
  await cli?.remove();
  await daemon?.stop();
});

it("is a terminal: size, resize, Ctrl-C to the space, Ctrl-D, exit code", async () => {
  await person.type("clear; clawdspace shell dev");
  await person.sees(/\$$/);
  await person.type("stty size");
  await person.sees(/^30 100$/m);
  await person.tmux("resize-window", "-t", "main", "-x", "120", "-y", "40");
  await person.type("stty size");
  await person.sees(/^40 120$/m);
  await person.type("sleep 1000; echo code $?");
  await person.type("");
  await person.press("C-c");
  await person.sees(/\^C/);
  await person.type("echo after $((40 + 2))");
  await person.sees(/^after 42$/m);
  await person.type("(exit 7)");
  await person.press("C-d");
  await person.sees(/HOST>$/);
  await person.type("echo exit $?");
  await person.sees(/^exit 7$/m);
});

it("shows a full-screen program, and leaves the screen as it was", async () => {
  await person.type("clear; clawdspace shell dev");
  await person.sees(/\$$/);
  await person.type("echo before-it; vi -u NONE /workspace/note.txt");
  await person.sees(/~\n~\n~/);
  await person.press("i");
  await person.type("written in vi");
  const screen = await person.sees(/^written in vi/m);
  expect(screen.split("\n")).toHaveLength(40);
  expect(screen).not.toContain("before-it");
  await person.press("Escape");
  await person.type(":wq");
  await person.sees(/^before-it$/m);
  await person.type("exit");
  await person.sees(/HOST>$/);
  expect(await cli.ok("cat", "dev:/note.txt")).toBe("written in vi\n\n");
});

it("attaches to a session again after it was killed, and leaves it with ~.", async () => {
  await person.type("clear; clawdspace shell dev --session work");
  await person.sees(/\$$/);
  await person.type("secret=kept; echo pid $$");
  const pid = /^pid (\d+)$/m.exec(await person.sees(/^pid \d+$/m))?.[1];
  await run("pkill", ["-KILL", "-f", `^${process.execPath} ${cli.main} shell dev --session work$`]);
  await person.sees(/Killed/);
  // What a killed program leaves of the terminal's state is for `reset` to mend.
  await person.type("reset; clear; clawdspace shell dev -s work");
  await person.sees(/\$$/);
  await person.type("clear; echo again $$ $secret");
  await person.sees(new RegExp(`^again ${pid} kept$`, "m"));
  await person.press("Enter");
  await person.tmux("send-keys", "-t", "main", "-l", "~.");
  await person.sees(/Left session "work", which goes on/);
  expect((await daemon.json("GET", "/api/spaces/dev/terminals")).body.terminals).toMatchObject([
    { session: "work", viewers: 0 },
  ]);
});

it("streams exec to the screen and ends it at Ctrl-C", async () => {
  await person.type("clear; clawdspace exec dev 'echo begun; sleep 765; echo never'; echo code $?");
  await person.sees(/^begun$/m);
  await person.press("C-c");
  await person.sees(/^code 130$/m);
  const left = "until ! pgrep -f 'sleep 76[5]' >/dev/null; do sleep 0.1; done; echo gone";
  expect(await cli.ok("exec", "dev", left)).toBe("gone\n");
});
