import type { Socket } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";

/** The requests in flight by the key that they came with, WebSockets and endless answers among them. */
export class OpenRequests {
  readonly #sockets = new Map<string, Set<Socket>>();

  /** Remembers a request until its answer or its WebSocket ends. */
  add(keyId: string, request: FastifyRequest, reply: FastifyReply): void {
    const { socket } = request.raw;
    const sockets = this.#sockets.get(keyId) ?? new Set();
    this.#sockets.set(keyId, sockets.add(socket));
    const end = () => {
      sockets.delete(socket);
      if (sockets.size === 0 && this.#sockets.get(keyId) === sockets) this.#sockets.delete(keyId);
    };
    // A WebSocket's connection outlives the answer that opened it.
    if (request.ws) socket.once("close", end);
    else reply.raw.once("close", end);
  }

  /** Breaks off what came with a key. */
  end(keyId: string): void {
    for (const socket of this.#sockets.get(keyId) ?? []) socket.destroy();
  }
}
