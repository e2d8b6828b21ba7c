import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ClawdspaceError } from "@clawdspace/protocol";
import { exchange } from "./exchange.js";
import { toInnerPath } from "./mount.js";
import type { PortService } from "./port-service.js";
import { type Outside, pairs, toInnerHeaders } from "./request-headers.js";
import { toOuterHeaders } from "./response-headers.js";
import { withoutSecrets } from "./secrets.js";
import { switchProtocols } from "./switch-protocols.js";

/** One request on its way into a space. */
export interface Crossing {
  incoming: IncomingMessage;
  /** Of an upgrade too: then it holds the connection. */
  response: ServerResponse;
  /** What the client sent behind the head of an upgrade; undefined where it asks for none. */
  early: Buffer | undefined;
  outside: Outside;
  /** What is asked for below the mount: "/…" with its query. */
  rest: string;
}

/** Carries HTTP, server-sent events and switched protocols (WebSockets) between clients and ports of spaces. */
export class Forwarder {
  /** Answers without an end of their own: they would hold up the daemon's. */
  readonly #endless = new Set<{ destroy(): void }>();

  constructor(private readonly ports: Pick<PortService, "connect">) {}

  /**
   * Carries a request into the space. Resolves with what sends the answer and resolves when that is over; until it is
   * called nothing has been sent, so that a rejection can be answered as any other error.
   * Throws what `PortService.connect` throws, `space_broken` where the answer is no HTTP, `cancelled`.
   */
  async forward(crossing: Crossing): Promise<() => Promise<void>> {
    const { incoming, response, early, outside } = crossing;
    const { mount } = outside;
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const connection = await this.ports.connect(mount.space, mount.port, gone.signal);
    const abandon = () => connection.destroy();
    gone.signal.addEventListener("abort", abandon, { once: true });
    const method = incoming.method ?? "GET";
    try {
      const upgrade = early ? incoming.headers.upgrade : undefined;
      const answer = await exchange(connection, {
        method,
        path: toInnerPath(mount, withoutSecrets(crossing.rest, outside.isKey)),
        headers: toInnerHeaders(incoming.rawHeaders, outside, { method, upgrade }),
        body: early || !hasBody(incoming) ? undefined : incoming,
      });
      const { head } = answer;
      const { origin } = incoming.headers;
      if (answer.kind === "upgrade") {
        if (!early) throw new Error("It switched to another protocol without being asked to.");
        const headers = toOuterHeaders(head.rawHeaders, mount, {
          origin,
          upgrade: head.headers.upgrade ?? upgrade,
        });
        gone.signal.removeEventListener("abort", abandon);
        const endless = this.#endless;
        const { rest } = answer;
        return () =>
          switchProtocols({ incoming, response, early, connection, rest, headers, endless });
      }
      const headers = toOuterHeaders(head.rawHeaders, mount, { origin, upgrade: undefined });
      // Set by the daemon for its own pages; the space has its own say.
      for (const name of response.getHeaderNames()) response.removeHeader(name);
      for (const [name, value] of pairs(headers)) response.appendHeader(name, value);
      response.writeHead(head.statusCode ?? 502);
      return () => this.#respond(response, head, connection);
    } catch (error) {
      connection.destroy();
      throw toForwardError(error, outside, gone.signal);
    }
  }

  /** Ends what would go on for ever; its clients connect again. */
  close(): void {
    for (const stream of this.#endless) stream.destroy();
  }

  async #respond(response: ServerResponse, head: IncomingMessage, connection: Duplex) {
    const eventStream = /^text\/event-stream/i.test(head.headers["content-type"] ?? "");
    if (eventStream) this.#endless.add(response);
    try {
      response.flushHeaders();
      await pipeline(head, response);
    } catch {
      // One side has broken off: the pipeline has told the other by destroying it.
    } finally {
      this.#endless.delete(response);
      connection.destroy();
    }
  }
}

const hasBody = ({ headers }: IncomingMessage) =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

function toForwardError(error: unknown, { mount }: Outside, gone: AbortSignal): unknown {
  if (gone.aborted) return new ClawdspaceError("cancelled", "The client went away.");
  const why = error instanceof Error ? error.message : String(error);
  return new ClawdspaceError(
    "space_broken",
    `The server on port ${mount.port} of space "${mount.space}" gave no valid HTTP answer: ${why} Look at its output.`,
    { cause: error },
  );
}
