import type { IncomingMessage, ServerResponse } from "node:http";
import { type Duplex, PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ClawdspaceError } from "@clawdspace/protocol";
import type { Dispatcher } from "undici";
import { exchange } from "../ports/exchange.js";
import { hopByHopOf, pairs, type RawHeaders } from "../ports/request-headers.js";
import { switchProtocols } from "../ports/switch-protocols.js";
import { CloseFrames } from "./close-frames.js";
import type { Fleet } from "./fleet.js";
import { type Peer, unreachable } from "./peer.js";
import { PEER_HEADER, PeerFault } from "./peer-link.js";
import type { PeerRequest } from "./peer-token.js";

/** A request that was passed on once is answered where it arrives, or not at all. */
export const PASSED_HEADER = "x-clawdspace-passed";
/** How long a client may go on sending what the other node doesn't read any more. */
const DRAIN_MS = 30_000;

/** A request for another node. */
export interface Passing {
  method: string;
  /** With the query. */
  path: string;
  headers: RawHeaders;
  /** A body that is whole can be sent again; undefined where there is none. */
  body: Readable | Buffer | undefined;
  /** Who asks; undefined for what opens by a link, which the other node judges by itself. */
  identity: Omit<PeerRequest, "method" | "path"> | undefined;
}

export interface PassedAnswer {
  status: number;
  /** Without those of the connection. */
  headers: string[];
  body: Readable;
}

/** Passes requests on to other nodes and their answers back, at the pace of the slower side. */
export class NodeForwarder {
  /** Answers without an end of their own: they would hold up the daemon's. */
  readonly #endless = new Set<{ destroy(): void }>();

  constructor(private readonly fleet: Fleet) {}

  /**
   * Resolves with the head of the other node's answer; its body is still to be read, and breaks off with the signal.
   * Throws `node_unreachable`, `cancelled`.
   */
  async send(peer: Peer, passing: Passing, signal: AbortSignal): Promise<PassedAnswer> {
    const { method, path, body } = passing;
    const until = AbortSignal.any([signal, peer.gone.signal]);
    for (let attempt = 0; ; attempt++) {
      const token = await this.#sign(peer, passing);
      const answer = await this.#tracked(peer, async () => {
        return await peer.link.pool.request({
          method: method as Dispatcher.HttpMethod,
          path,
          headers: [...toPassedHeaders(passing.headers), ...token, PASSED_HEADER, "1"],
          body: body === undefined || Buffer.isBuffer(body) ? (body ?? null) : watched(body, peer),
          signal: until,
          responseHeaders: "raw",
        });
      }).catch((error: unknown) => {
        throw this.#explain(error, peer, signal);
      });
      const headers = answer.headers as unknown as string[];
      const refused = headers.some(
        (name, at) => at % 2 === 0 && name.toLowerCase() === PEER_HEADER,
      );
      if (refused && answer.statusCode === 401) {
        peer.link.forget();
        await answer.body.dump();
        if (attempt === 0 && (body === undefined || Buffer.isBuffer(body))) continue;
        throw new ClawdspaceError(
          "node_unreachable",
          `Node "${peer.machine.name}" was restarted just now. Send the request again.`,
          { retryAfterSeconds: 1 },
        );
      }
      answer.body.on("data", () => moved(peer));
      answer.body.pause();
      return { status: answer.statusCode, headers: toAnswerHeaders(headers), body: answer.body };
    }
  }

  /** Writes another node's answer to the client. An answer of JSON lines that breaks off ends with a line that says why. */
  async relay(peer: Peer, answer: PassedAnswer, response: ServerResponse): Promise<void> {
    const type = [...pairs(answer.headers)].find(([name]) => name.toLowerCase() === "content-type");
    const endless = /^text\/event-stream/i.test(type?.[1] ?? "");
    const release = this.#hold(peer);
    if (endless) this.#endless.add(response);
    response.writeHead(answer.status, answer.headers);
    response.flushHeaders();
    try {
      if (!/^application\/x-ndjson/i.test(type?.[1] ?? "")) {
        await pipeline(answer.body, response);
        return;
      }
      await pipeline(answer.body, response, { end: false }).catch((error: unknown) => {
        if (response.destroyed) return;
        const known = this.#explain(error, peer, undefined);
        response.write(`\n${JSON.stringify({ type: "error", ...known.toBody() })}\n`);
      });
      response.end();
    } catch {
      // One side has broken off: the pipeline has told the other by destroying it.
    } finally {
      release();
      this.#endless.delete(response);
    }
  }

  /**
   * Passes on a request to switch protocols, which all WebSockets are. Resolves, once the other node has answered, with what
   * carries the answer; until that is called nothing is sent. Throws `node_unreachable`, `cancelled`.
   */
  async upgrade(
    peer: Peer,
    passing: Passing,
    client: { incoming: IncomingMessage; response: ServerResponse; early: Buffer },
    signal: AbortSignal,
  ): Promise<() => Promise<void>> {
    const { incoming, response, early } = client;
    const token = await this.#sign(peer, passing);
    const { upgrade = "websocket" } = incoming.headers;
    const headers = [
      ...toPassedHeaders(passing.headers),
      ...token,
      ...[PASSED_HEADER, "1", "Connection", "Upgrade", "Upgrade", upgrade],
    ];
    let connection: Duplex | undefined;
    try {
      const to = await peer.link.dial(AbortSignal.any([signal, peer.gone.signal]));
      connection = to;
      const { method, path } = passing;
      const answer = await exchange(to, { method, path, headers, body: undefined });
      const { head } = answer;
      if (answer.kind === "response") {
        const status = head.statusCode ?? 502;
        const passed = { status, headers: toAnswerHeaders(head.rawHeaders), body: head };
        return async () => {
          await this.relay(peer, passed, response);
          to.destroy();
        };
      }
      const outer = [
        ...toAnswerHeaders(head.rawHeaders),
        ...["Connection", "Upgrade", "Upgrade", head.headers.upgrade ?? upgrade],
      ];
      return async () => {
        const release = this.#hold(peer);
        const { rest } = answer;
        const frames = new CloseFrames();
        frames.take(rest);
        to.on("data", (chunk: Buffer) => {
          moved(peer);
          frames.take(chunk);
        });
        const lost = () => {
          const reason = `Node "${peer.machine.name}" stopped answering.`;
          if (/^websocket$/i.test(upgrade)) frames.close(incoming.socket, reason);
          to.destroy();
        };
        if (/^websocket$/i.test(upgrade)) to.once("error", lost).once("end", lost);
        peer.gone.signal.addEventListener("abort", lost, { once: true });
        const endless = this.#endless;
        await switchProtocols({
          ...{ incoming, response, early, connection: to, rest, headers: outer, endless },
        });
        peer.gone.signal.removeEventListener("abort", lost);
        release();
      };
    } catch (error) {
      connection?.destroy();
      throw this.#explain(error, peer, signal);
    }
  }

  /** Ends what would go on for ever; its clients connect again. */
  close(): void {
    for (const stream of this.#endless) stream.destroy();
  }

  async #sign(peer: Peer, { method, path, identity }: Passing): Promise<string[]> {
    if (!identity) return [];
    try {
      return [PEER_HEADER, await peer.link.sign({ method, path, ...identity })];
    } catch (error) {
      void this.fleet.probe(peer);
      throw this.#explain(error, peer, undefined);
    }
  }

  /** Counts a request as under way, so that a node which falls silent is noticed. */
  async #tracked<T>(peer: Peer, task: () => Promise<T>): Promise<T> {
    const release = this.#hold(peer);
    try {
      return await task();
    } finally {
      release();
    }
  }

  #hold(peer: Peer): () => void {
    peer.active++;
    return () => {
      peer.active--;
    };
  }

  #explain(error: unknown, peer: Peer, gone: AbortSignal | undefined): ClawdspaceError {
    if (gone?.aborted) return new ClawdspaceError("cancelled", "The client went away.");
    if (error instanceof ClawdspaceError) return error;
    if (peer.gone.signal.aborted) return unreachable(peer);
    // Whether it is gone, or only this connection, is found out at once.
    void this.fleet.probe(peer);
    const why = error instanceof PeerFault ? error.message : `${(error as Error).message}.`;
    return new ClawdspaceError(
      "node_unreachable",
      `Node "${peer.machine.name}" broke off or can't be reached: ${why} GET /api/nodes shows all.`,
      { cause: error },
    );
  }
}

/** Whether what could not be sent to a node has certainly not reached it. */
export function neverSent(error: ClawdspaceError): boolean {
  const { cause } = error;
  return cause instanceof PeerFault || UNSENT.has((cause as NodeJS.ErrnoException)?.code ?? "");
}

const UNSENT = new Set([
  ...["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "UND_ERR_CONNECT_TIMEOUT"],
]);

const moved = (peer: Peer) => {
  peer.movedAt = Date.now();
};

/**
 * A body on its way to another node. The client's connection outlives it: what an early answer leaves unread is read and
 * thrown away, so that the client gets to read the answer.
 */
function watched(body: Readable, peer: Peer): Readable {
  const passed = new PassThrough();
  body.on("data", () => moved(peer));
  body.once("error", (error) => passed.destroy(error));
  body.once("close", () => {
    if (!body.readableEnded) passed.destroy(new Error("The client went away."));
  });
  body.pipe(passed);
  passed.once("close", () => {
    if (body.readableEnded || body.destroyed) return;
    body.unpipe();
    body.resume();
    const timer = setTimeout(() => body.destroy(), DRAIN_MS).unref();
    body.once("close", () => clearTimeout(timer));
  });
  passed.on("error", () => {});
  return passed;
}

function toPassedHeaders(headers: RawHeaders): string[] {
  const dropped = hopByHopOf(headers);
  return [...pairs(headers)]
    .filter(([name]) => {
      const key = name.toLowerCase();
      return !dropped.has(key) && key !== "expect" && key !== PEER_HEADER && key !== PASSED_HEADER;
    })
    .flat();
}

function toAnswerHeaders(headers: RawHeaders): string[] {
  const dropped = hopByHopOf(headers);
  return [...pairs(headers)].filter(([name]) => !dropped.has(name.toLowerCase())).flat();
}
