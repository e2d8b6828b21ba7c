import { ClawdspaceError, type Terminal } from "@clawdspace/client";
import type { Terminal as Screen } from "@xterm/xterm";
import { api } from "../../api.js";

export type AttachmentState = "connecting" | "open" | "reconnecting" | "ended";

/** Told at once: less would be a message for each line. */
const ACKNOWLEDGED_BYTES = 64 * 1024;
const PAUSES_MS = [250, 500, 1000, 2000, 5000];

/**
 * Connects a screen with a terminal session of a space, over lost connections and restarts of the daemon. The output is
 * acknowledged as it is drawn, so that a flood waits in the space and not in this page.
 */
export class Attachment {
  #terminal: Terminal | undefined;
  #closed = false;
  #retry: (() => void) | undefined;

  constructor(
    private readonly space: string,
    private readonly session: string,
    private readonly screen: Screen,
    private readonly onState: (state: AttachmentState, message?: string) => void,
  ) {
    screen.onData((data) => this.#terminal?.write(data));
    screen.onBinary((data) =>
      this.#terminal?.write(Uint8Array.from(data, (char) => char.charCodeAt(0))),
    );
    screen.onResize(({ cols, rows }) => this.#terminal?.resize(cols, rows));
    void this.#run();
  }

  /** Lets go of the session, which goes on. */
  close(): void {
    this.#closed = true;
    this.#retry?.();
    this.#terminal?.close();
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#closed; attempt++) {
      this.onState(attempt === 0 ? "connecting" : "reconnecting");
      try {
        const end = await this.#attach(() => {
          attempt = 0;
        });
        if (this.#closed) return;
        if (end !== undefined) return this.onState("ended", end);
      } catch (error) {
        if (this.#closed) return;
        if (error instanceof ClawdspaceError && error.status < 500) {
          return this.onState("ended", error.message);
        }
      }
      await this.#pause(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] ?? 0);
    }
  }

  /** How it ended for good; undefined where the connection was lost. */
  async #attach(onOpen: () => void): Promise<string | undefined> {
    const { screen, session } = this;
    const { cols, rows } = screen;
    const terminal = await api.space(this.space).terminal({ session, cols, rows, ack: true });
    if (this.#closed) {
      terminal.close();
      return undefined;
    }
    this.#terminal = terminal;
    // What is kept of the output comes again.
    screen.reset();
    onOpen();
    this.onState("open");
    let drawn = 0;
    terminal.onData((bytes) =>
      screen.write(bytes, () => {
        drawn += bytes.length;
        if (drawn < ACKNOWLEDGED_BYTES) return;
        terminal.acknowledge(drawn);
        drawn = 0;
      }),
    );
    const { code, reason, exitCode } = await terminal.closed;
    this.#terminal = undefined;
    if (exitCode !== undefined) return `The shell ${reason}.`;
    return code === 1000 && reason !== "" ? reason : undefined;
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#retry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
