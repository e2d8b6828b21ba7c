import { createHmac } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Event } from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import { within } from "../within.js";
import type { EventBus } from "./event-bus.js";

const TIMEOUT_MS = 10_000;
/** How long after a failed attempt the next one is made; after the last one an event is given up. */
const BACKOFF_MS = [1000, 5000, 30_000, 120_000, 300_000];
const SECRET_PREFIX = "whsec_";

export interface WebhookOptions {
  urls: readonly string[];
  /** As "whsec_" and base64, or any other text. */
  secret: string;
  /** For tests. */
  backoffMs?: readonly number[];
}

/**
 * Posts every event to the configured URLs, in order, signed as the Standard Webhooks specification says. A receiver that
 * is away or slow delays nobody but itself: what it has missed is read from the events that are kept, and where they no
 * longer are, a "stream.reset" tells it so.
 */
export class Webhooks {
  readonly #stop = new AbortController();
  readonly #key: Buffer;
  readonly #backoffMs: readonly number[];

  constructor(
    private readonly events: EventBus,
    private readonly options: WebhookOptions,
    private readonly log: FastifyBaseLogger,
  ) {
    const { secret, backoffMs = BACKOFF_MS } = options;
    this.#backoffMs = backoffMs;
    this.#key = secret.startsWith(SECRET_PREFIX)
      ? Buffer.from(secret.slice(SECRET_PREFIX.length), "base64")
      : Buffer.from(secret);
  }

  start(): void {
    const from = this.events.lastId;
    for (const url of this.options.urls) void this.#serve(url, from);
  }

  stop(): void {
    this.#stop.abort();
  }

  async #serve(url: string, from: string): Promise<void> {
    for await (const batch of this.events.follow(from, this.#stop.signal)) {
      for (const event of batch) await this.#deliver(url, event);
    }
  }

  async #deliver(url: string, event: Event): Promise<void> {
    const { signal } = this.#stop;
    for (const wait of [...this.#backoffMs, undefined]) {
      if (signal.aborted) return;
      const failure = await this.#post(url, event);
      if (failure === undefined || signal.aborted) return;
      // Without the URL's path and query, which may hold a secret.
      const line = { host: new URL(url).host, event: event.id, failure };
      if (wait === undefined) this.log.warn(line, "gave up telling a webhook of an event");
      else {
        this.log.debug(line, "could not tell a webhook of an event yet");
        await delay(wait, undefined, { signal }).catch(() => {});
      }
    }
  }

  /** Returns what went wrong. */
  async #post(url: string, event: Event): Promise<string | undefined> {
    const body = JSON.stringify(event);
    const timestamp = Math.floor(Date.now() / 1000);
    try {
      const answer = await fetch(url, {
        method: "POST",
        body,
        redirect: "error",
        signal: within(TIMEOUT_MS, this.#stop.signal),
        headers: {
          "content-type": "application/json",
          "user-agent": "clawdspace",
          "webhook-id": event.id,
          "webhook-timestamp": `${timestamp}`,
          "webhook-signature": `v1,${this.#sign(`${event.id}.${timestamp}.${body}`)}`,
        },
      });
      await answer.body?.cancel();
      return answer.ok ? undefined : `answered ${answer.status}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #sign = (text: string) => createHmac("sha256", this.#key).update(text).digest("base64");
}
