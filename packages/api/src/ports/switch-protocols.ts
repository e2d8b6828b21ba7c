import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";

/** How long one side of a switched connection may stay open after the other has ended. */
const HALF_CLOSED_MS = 30_000;
const TCP_KEEPALIVE_MS = 30_000;

interface Switched {
  incoming: IncomingMessage;
  response: ServerResponse;
  /** What the client sent behind the head of its request. */
  early: Buffer;
  /** To the server that has switched, and what it sent behind the head of its answer. */
  connection: Duplex;
  rest: Buffer;
  /** Of the answer. */
  headers: string[];
  /** Where the client's connection stands while it is open: it has no end of its own. */
  endless: Set<{ destroy(): void }>;
}

/** Tells the client that protocols are switched, and carries bytes both ways until either side ends. Never rejects. */
export async function switchProtocols(switched: Switched): Promise<void> {
  const { incoming, response, early, connection, rest, headers, endless } = switched;
  const { socket } = incoming;
  response.detachSocket(socket);
  socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
  socket.setTimeout(0);
  const lines = headers.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join("");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`, "latin1");
  socket.write(rest);
  connection.write(early);
  endless.add(socket);
  const end = () => {
    socket.destroy();
    connection.destroy();
  };
  let timer: NodeJS.Timeout | undefined;
  for (const side of [socket, connection]) {
    side.once("end", () => {
      timer ??= setTimeout(end, HALF_CLOSED_MS).unref();
    });
  }
  try {
    await Promise.all([pipeline(socket, connection), pipeline(connection, socket)]);
  } catch {
    // One side has broken off: the pipeline has told the other by destroying it.
  } finally {
    clearTimeout(timer);
    endless.delete(socket);
    end();
  }
}
