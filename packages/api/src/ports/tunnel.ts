import type { Duplex } from "node:stream";
import { TunnelMessageSchema } from "@clawdspace/protocol";
import type { RawData, WebSocket } from "ws";

const MAX_BUFFERED_BYTES = 1024 ** 2;
const PING_MS = 30_000;
/** How long the space may take to end after the client has. */
const CLOSE_GRACE_MS = 5000;

const CLOSE = { normal: 1000, unsupportedData: 1003, internalError: 1011 } as const;

/**
 * Carries bytes between a WebSocket and a connection into a space: a binary frame is bytes; the text frame
 * {"type":"end"} of the client is the end of its bytes while it still reads. The end of the space's bytes closes the
 * WebSocket with 1000, or, where the client takes half-closed tunnels, is such a frame of ours. Both sides go at the pace of
 * the slower one.
 */
export function tunnel(ws: WebSocket, connection: Duplex, { halfClose }: { halfClose: boolean }) {
  let failure: Error | undefined;
  const endWhenBothHave = () => {
    if (connection.writableEnded && connection.readableEnded) ws.close(CLOSE.normal);
  };

  ws.on("message", (data: RawData, isBinary: boolean) => {
    if (isBinary && !connection.writableEnded) {
      if (!connection.write(data)) ws.pause();
      return;
    }
    if (isBinary || !isEnd(data)) {
      ws.close(CLOSE.unsupportedData, 'Bytes go in binary frames; the one text is {"type":"end"}.');
      return;
    }
    connection.end();
    endWhenBothHave();
  });
  connection.on("drain", () => ws.resume());

  connection.on("data", (chunk: Buffer) => {
    ws.send(chunk, { binary: true }, () => {
      if (ws.bufferedAmount <= MAX_BUFFERED_BYTES / 2) connection.resume();
    });
    if (ws.bufferedAmount > MAX_BUFFERED_BYTES) connection.pause();
  });
  connection.on("end", () => {
    if (!halfClose) ws.close(CLOSE.normal, "The space has closed the connection.");
    else ws.send(JSON.stringify({ type: "end" }));
    endWhenBothHave();
  });
  connection.on("error", (error: Error) => {
    failure = error;
  });
  connection.on("close", () => {
    ws.resume();
    if (failure) ws.close(CLOSE.internalError, failure.message.slice(0, 100));
    else ws.close(CLOSE.normal);
  });

  let answered = true;
  const pings = setInterval(() => {
    // One that is paused can't hear the answer; a dead one fails at the ping itself.
    if (!answered && !ws.isPaused) return ws.terminate();
    answered = false;
    ws.ping();
  }, PING_MS);
  ws.on("pong", () => {
    answered = true;
  });
  ws.on("close", (code: number) => {
    clearInterval(pings);
    if (code !== CLOSE.normal) connection.destroy();
    // What the client has sent still goes to the space; what comes back is for nobody.
    connection.end();
    connection.resume();
    setTimeout(() => connection.destroy(), CLOSE_GRACE_MS).unref();
  });
}

function isEnd(data: RawData): boolean {
  try {
    return TunnelMessageSchema.safeParse(JSON.parse(data.toString())).success;
  } catch {
    return false;
  }
}
