import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";

/** A server that answers with interim responses only would keep us busy for ever. */
const MAX_INTERIM = 32;
/** So would one that sends what is no part of an answer, such as empty lines. All interim heads together are shorter. */
const MAX_BEFORE_HEAD = 1024 ** 2;
/** How long a client may go on sending what nobody reads. */
const DRAIN_MS = 30_000;

export interface InnerRequest {
  method: string;
  path: string;
  headers: string[];
  body: Readable | undefined;
}

/** The head of an answer, its body still to be read; or a connection that has switched protocols. */
export type InnerAnswer =
  | { kind: "response"; head: IncomingMessage }
  | { kind: "upgrade"; head: IncomingMessage; rest: Buffer };

/**
 * Sends one request over a connection of its own and resolves with the head of the answer. The parser is Node's: it
 * bounds heads (16 KiB) and refuses what is not HTTP. Rejects where the other end breaks off or breaks the protocol;
 * the connection is destroyed then.
 */
export async function exchange(connection: Duplex, request: InnerRequest): Promise<InnerAnswer> {
  const { method, path, headers, body } = request;
  return await new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      createConnection: () => connection,
      method,
      path,
      headers,
      setHost: false,
    });
    let interim = 0;
    let received = 0;
    const count = (chunk: Buffer) => {
      received += chunk.length;
      if (received > MAX_BEFORE_HEAD) outgoing.destroy(new Error("What came was no answer."));
    };
    const answered = (answer: InnerAnswer) => {
      connection.off("data", count);
      resolve(answer);
    };
    const fail = (error: Error) => {
      connection.destroy();
      reject(error);
    };
    outgoing.on("error", fail);
    outgoing.on("close", () => reject(new Error("The connection was closed before an answer.")));
    // Not before the parser listens, which would miss what came till then.
    outgoing.on("socket", () => connection.on("data", count));
    outgoing.on("information", () => {
      if (++interim > MAX_INTERIM) outgoing.destroy(new Error("There were interim answers only."));
    });
    outgoing.on("response", (head) => answered({ kind: "response", head }));
    outgoing.on("upgrade", (head, _socket, rest) => answered({ kind: "upgrade", head, rest }));
    if (!body) {
      outgoing.end();
      return;
    }
    // Now, not with the body's first byte, which may be waiting for the answer.
    outgoing.flushHeaders();
    body.pipe(outgoing);
    outgoing.on("close", () => drain(body));
  });
}

/** A server may answer, or break off, without having read everything: what is still to come is for nobody. */
function drain(body: Readable): void {
  if (body.readableEnded || body.destroyed) return;
  body.unpipe();
  body.resume();
  const timer = setTimeout(() => body.destroy(), DRAIN_MS).unref();
  body.once("close", () => clearTimeout(timer));
}
