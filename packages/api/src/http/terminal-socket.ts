import { ClawdspaceError, type TerminalMessage, TerminalMessageSchema } from "@clawdspace/protocol";
import type { WebSocket } from "ws";
import { GuestError } from "../guest/types.js";
import type { Terminal } from "../terminals/terminal-service.js";
import { toClawdspaceError } from "./errors.js";

const PING_MS = 30_000;
/** Input that the terminal has not taken yet; beyond it the client has to wait. */
const MAX_PENDING_BYTES = 256 * 1024;
/** Output that a client which acknowledges may have before it. */
const MAX_UNSHOWN_BYTES = 1024 ** 2;
/** What a close frame has room for. */
const MAX_REASON_BYTES = 123;

const CLOSE = { normal: 1000, goingAway: 1001, failed: 1011 } as const;

/**
 * Connects a WebSocket with a terminal: output as binary frames at the client's pace, input as text or binary frames.
 * To be called in the turn that the socket opened, so that no message is missed. Ends when either side does.
 */
export async function serveTerminal(
  socket: WebSocket,
  opening: Promise<Terminal>,
  { acknowledges, onError }: { acknowledges: boolean; onError: (error: unknown) => void },
): Promise<void> {
  const stopBeat = beat(socket);
  const window = new Window(acknowledges);
  const input = new Input(socket, opening, (bytes) => window.opened(bytes));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let terminal: Terminal | undefined;
  try {
    terminal = await opening;
    const shown = show(socket, terminal, window);
    // Awaited first of both; the other's failure, that of a closed terminal, tells nothing new.
    shown.catch(() => {});
    await Promise.race([shown, closed, input.failed]);
  } catch (error) {
    onError(error);
    close(socket, ...explain(error));
  } finally {
    stopBeat();
    window.close();
    input.stop();
    terminal?.close();
    if (!terminal)
      opening.then(
        (late) => late.close(),
        () => {},
      );
  }
}

/** How much the client has before it that it has not shown yet: a browser can't be held up by its connection alone. */
class Window {
  #unshown = 0;
  #wake: (() => void) | undefined;

  constructor(private readonly limits: boolean) {}

  /** Counts what is sent; resolves when more may follow. */
  async take(bytes: number): Promise<void> {
    if (!this.limits) return;
    this.#unshown += bytes;
    if (this.#unshown <= MAX_UNSHOWN_BYTES) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  opened(bytes: number): void {
    this.#unshown = Math.max(0, this.#unshown - bytes);
    if (this.#unshown <= MAX_UNSHOWN_BYTES / 2) this.#wake?.();
  }

  close(): void {
    this.#unshown = 0;
    this.#wake?.();
  }
}

async function show(socket: WebSocket, terminal: Terminal, window: Window): Promise<void> {
  for await (const each of terminal.output) {
    if (each.type === "end") {
      close(socket, CLOSE.normal, each.reason);
      return;
    }
    if (socket.readyState !== socket.OPEN) return;
    await new Promise<void>((resolve) => socket.send(each.data, { binary: true }, () => resolve()));
    await window.take(each.data.length);
  }
}

/** Hands messages to the terminal in their order; holds the client up while the terminal doesn't take them. */
class Input {
  readonly failed: Promise<never>;
  #fail: (error: unknown) => void = () => {};
  #tail: Promise<void>;
  #pendingBytes = 0;
  #stopped = false;

  constructor(
    private readonly socket: WebSocket,
    private readonly opening: Promise<Terminal>,
    private readonly onAck: (bytes: number) => void,
  ) {
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
    this.#tail = opening.then(
      () => {},
      () => this.stop(),
    );
    socket.on("message", (data: Buffer, isBinary: boolean) => this.#take(data, isBinary));
  }

  stop(): void {
    this.#stopped = true;
  }

  #take(data: Buffer, isBinary: boolean): void {
    const message = isBinary ? undefined : parseMessage(data);
    if (message?.type === "ack") {
      this.onAck(message.bytes);
      return;
    }
    if (message?.type === "ping") {
      this.socket.send('{"type":"pong"}');
      return;
    }
    this.#pendingBytes += data.length;
    if (this.#pendingBytes > MAX_PENDING_BYTES) this.socket.pause();
    this.#tail = this.#tail.then(async () => {
      try {
        if (!this.#stopped) await this.#pass(message, data);
      } catch (error) {
        this.#fail(error);
      } finally {
        this.#pendingBytes -= data.length;
        if (this.socket.isPaused && this.#pendingBytes <= MAX_PENDING_BYTES / 2)
          this.socket.resume();
      }
    });
  }

  async #pass(message: TerminalMessage | undefined, data: Buffer): Promise<void> {
    const terminal = await this.opening;
    try {
      if (message?.type === "resize") await terminal.resize(message.cols, message.rows);
      else await terminal.write(message?.type === "input" ? Buffer.from(message.data) : data);
    } catch (error) {
      // What is typed after the end is told by the end itself.
      if (!(error instanceof GuestError) || error.code !== "closed") throw error;
    }
  }
}

/** A text frame that is none of the messages is input, as it is. */
function parseMessage(data: Buffer): TerminalMessage | undefined {
  if (data[0] !== 0x7b) return undefined;
  try {
    return TerminalMessageSchema.safeParse(JSON.parse(data.toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

/** Finds connections whose other end is gone without a word. */
function beat(socket: WebSocket): () => void {
  let alive = true;
  socket.on("pong", () => {
    alive = true;
  });
  const timer = setInterval(() => {
    // One that is held up can't be heard.
    if (!alive && !socket.isPaused) {
      socket.terminate();
      return;
    }
    alive = false;
    socket.ping();
  }, PING_MS);
  return () => clearInterval(timer);
}

function explain(error: unknown): [code: number, reason: string] {
  if (error instanceof GuestError && error.code === "closed") {
    return [CLOSE.goingAway, "The space was stopped or removed."];
  }
  const known = toClawdspaceError(error);
  return [
    known instanceof ClawdspaceError && known.status < 500 ? CLOSE.normal : CLOSE.failed,
    known.message,
  ];
}

function close(socket: WebSocket, code: number, reason: string): void {
  const bytes = Buffer.from(reason).subarray(0, MAX_REASON_BYTES);
  socket.close(code, new TextDecoder().decode(bytes).replace(/\ufffd+$/, ""));
}
