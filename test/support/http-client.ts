import { Agent, type IncomingMessage, request } from "node:http";
import { json } from "node:stream/consumers";
import type { Daemon } from "./daemon.js";

/** Requests over connections of its own, which end with it: what is left open afterwards is the daemon's. */
export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(private readonly daemon: Daemon) {}

  /** The answer with its body still to be read. Rejects where the connection breaks or the signal aborts. */
  async send(
    method: string,
    path: string,
    body?: unknown,
    options: { signal?: AbortSignal; accept?: string } = {},
  ): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return await new Promise((resolve, reject) => {
      const sent = request(`${this.daemon.url}${path}`, {
        method,
        agent: this.#agent,
        ...(options.signal ? { signal: options.signal } : {}),
        headers: {
          authorization: `Bearer ${this.daemon.key}`,
          ...(options.accept ? { accept: options.accept } : {}),
          ...(text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        },
      });
      sent.once("response", resolve).once("error", reject);
      sent.end(text);
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, and assert what they find
  async json(...request: Parameters<HttpClient["send"]>): Promise<{ status: number; body: any }> {
    const answer = await this.send(...request);
    return { status: answer.statusCode ?? 0, body: await json(answer) };
  }

  close(): void {
    this.#agent.destroy();
  }
}
