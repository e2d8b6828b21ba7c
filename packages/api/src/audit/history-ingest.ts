import type { FastifyBaseLogger } from "fastify";
import type { Engine } from "../engine/engine.js";
import type { Guests } from "../spaces/guests.js";
import type { SpaceChange, SpaceRegistry } from "../spaces/registry.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { HistoryFile } from "./history-file.js";
import { HistoryReader } from "./history-reader.js";
import { HistoryState } from "./history-state.js";
import type { Recorder } from "./recorder.js";

/** Few: commands that run in the spaces meanwhile wait behind these. */
const AT_ONCE = 3;
/** A space that falls asleep while it is asked answers when it wakes; the round goes on without it. */
const ASK_MS = 3000;

interface Parts {
  engine: Engine;
  guests: Guests;
  registry: SpaceRegistry;
  recorder: Recorder;
  log: FastifyBaseLogger;
  /** Where it is kept how far each history was read. */
  statePath: string;
}

/**
 * Takes what the shells of spaces write to their history into the audit log, marked as what it is: written in the space,
 * by whoever has it. One timer looks at all spaces that are awake; one that sleeps is looked at once.
 */
export class HistoryIngest {
  readonly #state: HistoryState;
  /** Sleeping spaces with nothing left to read. */
  readonly #done = new Set<string>();
  /** What is being read, and the log's last event when that began. */
  readonly #reading = new Map<string, { ended: Promise<void>; since: number }>();
  #reader: HistoryReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;

  /** @param intervalMs between two looks; 0 is never. */
  constructor(
    private readonly parts: Parts,
    private readonly intervalMs: number,
  ) {
    this.#state = new HistoryState(parts.statePath);
    parts.registry.onChange((change) => this.#changed(change));
  }

  async start(): Promise<void> {
    if (this.intervalMs === 0) return;
    const savedId = await this.#state.load();
    this.#reader = new HistoryReader(this.parts.recorder, this.#state, savedId);
    this.#timer = setInterval(() => {
      this.#round ??= this.round().finally(() => {
        this.#round = undefined;
      });
    }, this.intervalMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }

  /** Looks at every space that may have something new. */
  async round(): Promise<void> {
    const waiting = this.parts.registry
      .known()
      .filter((entry) => entry.state === "running" || !this.#done.has(entry.id));
    const { log } = this.parts.recorder;
    const before = log.lastId;
    const work = async () => {
      for (let entry = waiting.pop(); entry; entry = waiting.pop()) await this.flush(entry);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    // What is still being read may have logged more than its place says by now.
    const known = Math.min(before, ...[...this.#reading.values()].map(({ since }) => since));
    if (log.lastId !== before) await this.#save(known);
  }

  /** Reads all that a space which is about to go has written: what would wait for its end otherwise is taken as it is. */
  async last(entry: SpaceEntry): Promise<void> {
    if (this.#reading.has(entry.name)) await this.flush(entry);
    await this.flush(entry, true);
  }

  /** Reads what one space has written up to now. Failures are left to the next round. */
  async flush(entry: SpaceEntry, final = false): Promise<void> {
    const since = this.parts.recorder.log.lastId;
    const reading = this.#reading.get(entry.name) ?? { ended: this.#read(entry, final), since };
    this.#reading.set(entry.name, reading);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ASK_MS);
    });
    await Promise.race([reading.ended, late]).finally(() => clearTimeout(timer));
  }

  async #read(entry: SpaceEntry, final: boolean): Promise<void> {
    const { engine, guests, log } = this.parts;
    try {
      const asleep = isAsleep(entry);
      const file = new HistoryFile(engine, guests, entry);
      const done = await this.#reader?.read(entry.name, file, asleep || final);
      if (done && asleep && isAsleep(entry)) this.#done.add(entry.id);
    } catch (error) {
      log.debug({ err: error, space: entry.name }, "could not read a shell history yet");
    } finally {
      this.#reading.delete(entry.name);
    }
  }

  async #save(lastId: number): Promise<void> {
    await this.#state
      .save(lastId)
      .catch((error: unknown) =>
        this.parts.log.warn({ err: error }, "could not save how far the histories were read"),
      );
  }

  #changed({ type, entry }: SpaceChange): void {
    if (type === "removed" || type === "woken" || type === "started") this.#done.delete(entry.id);
  }
}

const isAsleep = (entry: SpaceEntry) => entry.state !== "running";
