import { EventEmitter, on } from "node:events";
import type { EngineEvent } from "./engine.js";

/** Whether an object carries all of the wanted labels. */
export const carries = (labels: Record<string, string>, wanted: Record<string, string>) =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value);

/** The fake engine's events: kept, so that a listener gets those since a moment before those to come. */
export class FakeEvents {
  readonly #history: EngineEvent[] = [];
  readonly #live = new EventEmitter().setMaxListeners(0);

  tell(event: EngineEvent): void {
    this.#history.push(event);
    this.#live.emit("event", event);
  }

  /** From the whole second of `since` on, as Docker has it; ends when the signal aborts. */
  async *follow(
    labels: Record<string, string>,
    since: Date,
    signal: AbortSignal,
  ): AsyncGenerator<EngineEvent> {
    if (signal.aborted) return;
    const live = on(this.#live, "event", { signal });
    const from = Math.floor(since.getTime() / 1000) * 1000;
    const past = this.#history.filter(({ time }) => time.getTime() >= from);
    for (const event of past) if (carries(event.labels, labels)) yield event;
    try {
      for await (const [event] of live as AsyncIterable<[EngineEvent]>)
        if (carries(event.labels, labels)) yield event;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
