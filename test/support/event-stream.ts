import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { Event } from "@clawdspace/protocol";

/** A reader of server-sent events as the specification has it. */
export class EventStream {
  /** Those with an id, in the order they came. */
  readonly events: Event[] = [];
  /** Resolves when the stream has ended, however. */
  readonly ended: Promise<void>;

  private constructor(
    private readonly sent: ClientRequest,
    answer: IncomingMessage,
  ) {
    this.ended = this.#read(answer).catch(() => {});
  }

  /** @param where the daemon's address and the request's headers. Rejects where it can't be reached or refuses. */
  static async open(where: RequestOptions, lastEventId?: string): Promise<EventStream> {
    const resume = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
    const sent = request({ ...where, headers: { ...where.headers, ...resume } }).end();
    const [answer]: IncomingMessage[] = await once(sent, "response");
    if (answer?.statusCode !== 200) throw new Error(`events: ${answer?.statusCode}`);
    sent.on("error", () => {});
    return new EventStream(sent, answer);
  }

  get lastId(): string | undefined {
    return this.events.at(-1)?.id;
  }

  async #read(answer: IncomingMessage): Promise<void> {
    let rest = "";
    for await (const piece of answer.setEncoding("utf8") as AsyncIterable<string>) {
      const blocks = (rest + piece).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const lines = block.split("\n");
        const id = lines.find((line) => line.startsWith("id: "))?.slice(4);
        const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
        if (id === undefined || data === undefined) continue;
        const event: Event = JSON.parse(data);
        if (event.id !== id) throw new Error(`the event ${data} has the id ${id}`);
        this.events.push(event);
      }
    }
  }

  /** Waits for an event; fails with those that came instead. */
  async sees(wanted: (event: Event) => boolean): Promise<Event> {
    const until = Date.now() + 30_000;
    for (;;) {
      const found = this.events.find(wanted);
      if (found) return found;
      if (Date.now() > until) throw new Error(`not among ${JSON.stringify(this.events)}`);
      await delay(20);
    }
  }

  async close(): Promise<void> {
    this.sent.destroy();
    await this.ended;
  }
}
