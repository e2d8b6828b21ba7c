/** How a connection ended: the WebSocket's close code, and what the daemon said. */
export interface Closed {
  code: number;
  reason: string;
}

/** A WebSocket, whichever implementation is under it. */
export interface Socket {
  readonly opened: Promise<void>;
  readonly closed: Promise<Closed>;
  /** Bytes that were sent and are not on their way yet: beyond about 1 MiB a sender should wait. */
  readonly bufferedBytes: number;
  /** Gets every message, bytes or text; those that come before it is set are kept for it. */
  onMessage(listener: (data: Uint8Array | string) => void): void;
  send(data: string | Uint8Array): void;
  /** Stops reading, so that the daemon waits, where the implementation can (the package "ws"; not browsers). */
  pause(): void;
  resume(): void;
  close(): void;
}

export interface SocketRequest {
  url: string;
  key: string | undefined;
  headers: Record<string, string>;
}

export type SocketFactory = (request: SocketRequest) => Promise<Socket>;

/** What is used of a WebSocket class. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
  pause?(): void;
  resume?(): void;
  addEventListener(type: string, listener: (event: never) => void): void;
}

export type WebSocketConstructor = new (url: string, options?: never) => WebSocketLike;

/** A WebSocket class, or what loads one when it is first needed. */
export type WebSocketSource = WebSocketConstructor | { load(): Promise<WebSocketConstructor> };

const OPEN = 1;

/** Browsers' WebSockets can't carry headers: there the session's cookie goes with it, or the key in the address. */
const inBrowser = () => "document" in globalThis || "WorkerGlobalScope" in globalThis;

/** Makes sockets of a class: a browser's, Node's, or that of the package "ws". */
export function sockets(source: WebSocketSource): SocketFactory {
  return async ({ url, key, headers }) => {
    const WebSocket = "load" in source ? await source.load() : source;
    if (!inBrowser()) return wrap(new WebSocket(url, { headers } as never));
    if (key === undefined) return wrap(new WebSocket(url));
    const keyed = `${url}${url.includes("?") ? "&" : "?"}key=${encodeURIComponent(key)}`;
    return wrap(new WebSocket(keyed));
  };
}

function wrap(socket: WebSocketLike): Socket {
  socket.binaryType = "arraybuffer";
  let listener: ((data: Uint8Array | string) => void) | undefined;
  let early: (Uint8Array | string)[] = [];
  socket.addEventListener("message", ({ data }: MessageEvent) => {
    const message = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    if (listener) listener(message);
    else early.push(message);
  });
  const closed = new Promise<Closed>((resolve) => {
    socket.addEventListener("close", ({ code, reason }: CloseEvent) => resolve({ code, reason }));
  });
  let failure = "";
  socket.addEventListener("error", (event: { message?: string }) => {
    failure = event.message ?? "";
  });
  const opened = new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    void closed.then(({ code, reason }) =>
      reject(new Error(failure || reason || `closed: ${code}`)),
    );
  });
  opened.catch(() => {});
  return {
    opened,
    closed,
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    onMessage(given) {
      listener = given;
      const kept = early;
      early = [];
      for (const data of kept) given(data);
    },
    send(data) {
      if (socket.readyState === OPEN) socket.send(data as string | Uint8Array<ArrayBuffer>);
    },
    pause: () => socket.pause?.(),
    resume: () => socket.resume?.(),
    close: () => socket.close(),
  };
}
