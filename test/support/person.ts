import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const SEEN_MS = 30_000;

/** Somebody at a terminal: tmux, which draws what they would see. */
export class Person {
  readonly #socket = `cs-${randomBytes(4).toString("hex")}`;

  /** @param environment of the shell */
  constructor(private readonly environment: Record<string, string>) {}

  async tmux(...args: string[]): Promise<string> {
    const { stdout } = await run("tmux", ["-L", this.#socket, "-f", "/dev/null", ...args], {
      env: { ...this.environment, TERM: "xterm-256color" },
    });
    return stdout;
  }

  /** Opens a window of this size, with this shell. */
  async sit(columns: number, rows: number, ...shell: string[]): Promise<void> {
    const size = ["-x", `${columns}`, "-y", `${rows}`];
    await this.tmux("new-session", "-d", "-s", "main", ...size, ...shell);
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
