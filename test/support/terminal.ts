import { setTimeout as delay } from "node:timers/promises";
import WebSocket from "ws";
import type { Daemon } from "./daemon.js";

/** A terminal's client as the contract has it. */
export class TerminalClient {
  /** All output so far. */
  output = Buffer.alloc(0);
  /** Text frames so far: what is no output. */
  readonly texts: string[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(readonly socket: WebSocket) {
    const pieces: Buffer[] = [];
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (!isBinary) {
        this.texts.push(data.toString());
        return;
      }
      pieces.push(data);
      this.output = Buffer.concat(pieces);
    });
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  static async open(
    daemon: Daemon,
    space: string,
    query: Record<string, string> = {},
  ): Promise<TerminalClient> {
    const socket = new WebSocket(urlOf(daemon, space, query), {
      headers: { authorization: `Bearer ${daemon.key}` },
    });
    const client = new TerminalClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return client;
  }

  get text(): string {
    return this.output.toString();
  }

  type(data: string): void {
    this.socket.send(JSON.stringify({ type: "input", data }));
  }

  /** Waits for a text in the output, after `from` characters of it; gives the output back. */
  async sees(wanted: string | RegExp, from = 0): Promise<string> {
    const until = Date.now() + 30_000;
    for (;;) {
      const text = this.text.slice(from);
      if (typeof wanted === "string" ? text.includes(wanted) : wanted.test(text)) return text;
      if (Date.now() > until)
        throw new Error(`no ${wanted} in ${JSON.stringify(text.slice(-2000))}`);
      await delay(20);
    }
  }
}

const urlOf = (daemon: Daemon, space: string, query: Record<string, string>) =>
  `${daemon.url.replace(/^http/, "ws")}/api/spaces/${space}/terminal?${new URLSearchParams(query)}`;

/** The status that refuses a terminal, 101 where it opens. */
export async function terminalStatus(
  daemon: Daemon,
  space: string,
  { query = {}, key }: { query?: Record<string, string>; key?: string },
): Promise<number> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const socket = new WebSocket(urlOf(daemon, space, query), { headers });
  socket.on("error", () => {});
  const status = await new Promise<number>((resolve) => {
    socket.once("unexpected-response", (_request, answer) => resolve(answer.statusCode ?? 0));
    socket.once("open", () => resolve(101));
  });
  socket.terminate();
  return status;
}
