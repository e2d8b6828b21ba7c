import { type ClientOptions, Clawdspace as IsomorphicClient } from "./clawdspace.js";
import { httpTransport } from "./http-transport.js";
import type { WebSocketConstructor } from "./socket.js";

export * from "./index.js";

/**
 * The client as Node.js loads it. Requests go by node:http, which ends no answer that is silent for minutes, reads the
 * answer to an upload that was refused half-way, and knows trailers; WebSockets carry the key in a header.
 */
export class Clawdspace extends IsomorphicClient {
  constructor(options: ClientOptions = {}) {
    super({
      WebSocket: {
        load: async () => (await import("ws")).WebSocket as unknown as WebSocketConstructor,
      },
      ...(options.fetch ? {} : { transport: httpTransport() }),
      ...options,
    });
  }
}
