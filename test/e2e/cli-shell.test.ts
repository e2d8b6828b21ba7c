import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cli } from "../support/cli.js";
import { Daemon } from "../support/daemon.js";

const run = promisify(execFile);
const SEEN_MS = 30_000;

let daemon: Daemon;
let cli: Cli;
let person: Person;

/** Somebody at a terminal: tmux, which draws what they would see. */
class Person {
  readonly #socket = `cs-${randomBytes(4).toString("hex")}`;

  async tmux(...args: string[]): Promise<string> {
    const { stdout } = await run("tmux", ["-L", this.#socket, "-f", "/dev/null", ...args], {
      env: { ...cli.env, TERM: "xterm-256color" },
    });
    return stdout;
  }

  /** Opens a window of this size with a shell in which `clawdspace` is the one under test. */
  async sit(columns: number, rows: number): Promise<void> {
    const size = ["-x", `${columns}`, "-y", `${rows}`];
    await this.tmux(
      "new-session",
      "-d",
      "-s",
      "main",
      ...size,
      "env",
      "PS1=HOST> ",
      "bash",
      "--norc",
    );
    await this.type(`clawdspace() { ${process.execPath} ${cli.main} "$@"; }`);
    await this.sees(/HOST>$/);
  }

  async type(line: string): Promise<void> {
    await this.tmux("send-keys", "-t", "main", "-l", line);
    await this.press("Enter");
  }

  async press(...keys: string[]): Promise<void> {
    await this.tmux("send-keys", "-t", "main", ...keys);
  }

  async screen(): Promise<string> {
    return (await this.tmux("capture-pane", "-p", "-t", "main")).trimEnd();
  }

  /** The screen, once it shows this. */
  async sees(wanted: RegExp): Promise<string> {
    const until = Date.now() + SEEN_MS;
    for (;;) {
      const screen = await this.screen();
      if (wanted.test(screen)) return screen;
      if (Date.now() > until) throw new Error(`no ${wanted} on the screen:\n${screen}`);
      await delay(50);
    }
  }

  async leave(): Promise<void> {
    await this.tmux("kill-server").catch(() => {});
  }
}

beforeAll(async () => {
  daemon = await Daemon.start();
  cli = await Cli.of(daemon);
  await daemon.space("dev");
  person = new Person();
  await person.sit(100, 30);
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
