import type { Readable } from "node:stream";
import type { Engine } from "../engine/engine.js";
import type { Guests } from "../spaces/guests.js";
import { KeyedLock } from "../spaces/keyed-lock.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { SpaceService } from "../spaces/space-service.js";
import { AsleepFiles } from "./asleep-files.js";
import { EngineFiles } from "./engine-files.js";
import { NeedsAwake } from "./needs-awake.js";
import type { FileFacts, ReadableFiles, SpaceFiles } from "./space-files.js";
import { CutShort } from "./streams.js";

/** Finds the way to a space's files: its guest agent, commands of the engine, or, while it sleeps, the engine's archives. */
export class FileAccess {
  /** Orders the writes that ask for a state of a file, where no guest agent does. */
  readonly #writes = new KeyedLock();

  constructor(
    private readonly engine: Engine,
    private readonly guests: Guests,
    private readonly spaces: Pick<SpaceService, "find" | "acquire" | "pauseIfIdle">,
    /** A folder of the daemon's for what is read of sleeping spaces and too large for its memory. */
    private readonly spoolIn: string,
  ) {}

  /** The files of a space that the caller keeps awake. */
  async of(entry: SpaceEntry): Promise<SpaceFiles> {
    if (!entry.spec.guest) return new EngineFiles(this.engine, entry.id, this.#writes);
    return (await this.guests.of(entry)).files;
  }

  /** Runs a task on a space's files, waking it first and keeping it awake meanwhile. Throws `not_found`. */
  async changing<T>(
    name: string,
    task: (files: SpaceFiles, entry: SpaceEntry) => Promise<T>,
  ): Promise<T> {
    const { entry, release } = await this.spaces.acquire(name);
    try {
      return await task(await this.of(entry), entry);
    } finally {
      release();
    }
  }

  /**
   * Runs a task that only reads. A sleeping space is read without waking it; where that can't be, it is woken for the
   * task alone. So the task may run twice. Throws `not_found`.
   */
  async reading<T>(name: string, task: (files: ReadableFiles) => Promise<T>): Promise<T> {
    const { result, release } = await this.#reading(name, task, async () => {});
    release();
    return result;
  }

  /** As `reading`, for a task that opens a stream: the space stays as it is until that is closed. */
  async opening<T extends { stream: Readable }>(
    name: string,
    task: (files: ReadableFiles) => Promise<T>,
  ): Promise<T> {
    const discard = async ({ stream }: T) => {
      stream.destroy();
    };
    const { result, release } = await this.#reading(name, task, discard);
    if (result.stream.closed) release();
    else result.stream.once("close", release);
    return result;
  }

  async #reading<T>(
    name: string,
    task: (files: ReadableFiles) => Promise<T>,
    discard: (result: T) => Promise<void>,
  ): Promise<{ result: T; release: () => void }> {
    const before = (await this.spaces.find(name)).state;
    if (before !== "running") {
      const asleep = await this.#readAsleep(name, task, discard);
      if (asleep) return { result: asleep.result, release: () => {} };
    }
    const { entry, release } = await this.spaces.acquire(name);
    const done = () => {
      release();
      if (before === "paused") this.#backToSleep(entry);
    };
    try {
      return { result: await task(await this.of(entry)), release: done };
    } catch (error) {
      done();
      throw error;
    }
  }

  #asleep(entry: SpaceEntry): AsleepFiles {
    const { engine, spoolIn } = this;
    const goOn = async (
      path: Buffer,
      facts: FileFacts,
      range: { offset: number; length: number },
    ) => {
      const { entry: awake, release } = await this.spaces.acquire(entry.name);
      try {
        const { stat, stream } = await (await this.of(awake)).read(path, range);
        stream.once("close", release);
        const same = stat.size === facts.size && Math.abs(stat.mtimeMs - facts.mtimeMs) < 2;
        if (awake === entry && same) return stream;
        stream.destroy();
      } catch (error) {
        release();
        throw error;
      }
      throw new CutShort("the file changed while it was read");
    };
    return new AsleepFiles({ engine, entry, large: { spoolIn, goOn } });
  }

  /** undefined where it has to be done awake. */
  async #readAsleep<T>(
    name: string,
    task: (files: ReadableFiles) => Promise<T>,
    discard: (result: T) => Promise<void>,
  ): Promise<{ result: T } | undefined> {
    const entry = await this.spaces.find(name);
    let result: T;
    try {
      result = await task(this.#asleep(entry));
    } catch (error) {
      if (error instanceof NeedsAwake) return undefined;
      if (await this.#stillAsleep(entry)) throw error;
      return undefined;
    }
    // What was looked at while the space woke up could have been changed between the look and the read.
    if (await this.#stillAsleep(entry)) return { result };
    await discard(result);
    return undefined;
  }

  async #stillAsleep(entry: SpaceEntry): Promise<boolean> {
    const state = await this.engine.containerState(entry.id);
    return state !== undefined && state !== "running" && entry.state !== "running";
  }

  /** Unless somebody else has begun to use the space. */
  #backToSleep(entry: SpaceEntry): void {
    const idleSince = new Date(entry.lastActivity.getTime() + 1);
    // Where it can't be now, the idle timeout will.
    this.spaces.pauseIfIdle(entry, idleSince).catch(() => {});
  }
}
