import { parseJson } from "@clawdspace/protocol";
import type { Connection } from "./connection.js";
import type { Closed, Socket } from "./socket.js";

export interface TerminalOptions {
  /** A terminal of this name, made where there is none, that outlives its connections. */
  session?: string | undefined;
  cols?: number | undefined;
  rows?: number | undefined;
  /** Holds the output up at 1 MiB that `acknowledge` was not told of: browsers can't `pause`. */
  ack?: boolean | undefined;
  /** Run as `sh -c` in place of the login shell. */
  command?: string | undefined;
}

export interface TerminalEnd extends Closed {
  /** Where the program itself ended. A lost connection has none: a session goes on, and can be attached to again. */
  exitCode?: number;
}

const SIGNAL_NUMBERS: Record<string, number> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** A terminal in a space. Backpressure is the reader's: `pause` holds the program up while a page or a pipe is full. */
export class Terminal {
  readonly #socket: Socket;
  /** Resolves when it ends, whichever way. */
  readonly closed: Promise<TerminalEnd>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = socket.closed.then(({ code, reason }) => ({ code, reason, ...exitOf(reason) }));
  }

  /** Resolves when it is attached. Throws `ClawdspaceError`, such as `not_found`. */
  static async open(
    connection: Connection,
    path: string,
    { session, cols, rows, ack, command }: TerminalOptions,
  ): Promise<Terminal> {
    const socket = await openSocket(connection, `${path}/terminal`, path, {
      session,
      cols,
      rows,
      ack,
      command,
    });
    return new Terminal(socket);
  }

  /** Gets the output, byte for byte: decode it as one stream. */
  onData(listener: (bytes: Uint8Array) => void): void {
    this.#socket.onMessage((data) => {
      if (typeof data !== "string") listener(data);
    });
  }

  /** Types text, or sends bytes as they are. */
  write(data: string | Uint8Array): void {
    this.#socket.send(typeof data === "string" ? JSON.stringify({ type: "input", data }) : data);
  }

  resize(cols: number, rows: number): void {
    this.#socket.send(JSON.stringify({ type: "resize", cols, rows }));
  }

  /** Says that so many bytes of the output are shown, where it was opened with `ack`. */
  acknowledge(bytes: number): void {
    this.#socket.send(JSON.stringify({ type: "ack", bytes }));
  }

  /** Input that is not on its way yet, in bytes. */
  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Lets go of it: a session goes on, any other terminal is hung up. */
  close(): void {
    this.#socket.close();
  }
}

export interface Tunnel {
  readonly closed: Promise<Closed>;
  readonly bufferedBytes: number;
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Called when the space writes no more. */
  onEnd(listener: () => void): void;
  write(bytes: Uint8Array): void;
  /** Writes no more; what the space still sends comes. */
  end(): void;
  pause(): void;
  resume(): void;
  close(): void;
}

/** A TCP connection to a port of a space. */
export async function openTunnel(
  connection: Connection,
  path: string,
  port: number,
): Promise<Tunnel> {
  const query = { halfClose: true };
  const socket = await openSocket(connection, `${path}/ports/${port}/tcp`, path, query);
  let ended = () => {};
  let heard: (bytes: Uint8Array) => void = () => {};
  const listen = () =>
    socket.onMessage((data) => {
      if (typeof data !== "string") heard(data);
      else if ((parseJson(data) as { type?: unknown } | undefined)?.type === "end") ended();
    });
  return {
    closed: socket.closed,
    get bufferedBytes() {
      return socket.bufferedBytes;
    },
    onData(listener) {
      heard = listener;
      listen();
    },
    onEnd(listener) {
      ended = listener;
    },
    write: (bytes) => socket.send(bytes),
    end: () => socket.send(JSON.stringify({ type: "end" })),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => socket.close(),
  };
}

/** Waits for a socket to open. A refused WebSocket tells no reason: an ordinary request for the space does. */
async function openSocket(
  connection: Connection,
  path: string,
  spacePath: string,
  query: Record<string, string | number | boolean | undefined>,
): Promise<Socket> {
  const socket = await connection.socket(path, query);
  try {
    await socket.opened;
    return socket;
  } catch (error) {
    await (await connection.send("GET", spacePath)).text();
    throw connection.failure(error);
  }
}

function exitOf(reason: string): { exitCode?: number } {
  const exited = /^exited with code (\d+)$/.exec(reason)?.[1];
  if (exited !== undefined) return { exitCode: Number(exited) };
  const signal = /^ended by (SIG\w+)$/.exec(reason)?.[1];
  return signal === undefined ? {} : { exitCode: 128 + (SIGNAL_NUMBERS[signal] ?? 0) };
}
