import { buffer } from "node:stream/consumers";
import type { Engine } from "../engine/engine.js";
import { AsleepFiles } from "../files/asleep-files.js";
import type { ReadableFiles } from "../files/space-files.js";
import { WORKSPACE } from "../spaces/container-spec.js";
import type { Guests } from "../spaces/guests.js";
import type { SpaceEntry } from "../spaces/space-entry.js";

const NAME = ".bash_history";
const PATH = Buffer.from(NAME);

export interface HistoryFacts {
  size: number;
  mtimeMs: number;
}

/**
 * The file in which the shells of a space write what they ran. It is looked at without waking the space and without
 * running anything in it: through a guest agent that is connected anyway, else through the engine.
 */
export class HistoryFile {
  constructor(
    private readonly engine: Engine,
    private readonly guests: Pick<Guests, "connected">,
    private readonly entry: SpaceEntry,
  ) {}

  /** undefined where there is none. At most one call to the engine. */
  async stat(): Promise<HistoryFacts | undefined> {
    const guest = await this.#guest();
    const stat = guest
      ? await guest.files.stat(NAME).catch(() => undefined)
      : await this.engine
          .statPath(this.entry.id, `${WORKSPACE}/${NAME}`)
          .then((found) => found && { ...found, mtimeMs: found.mtime.getTime() });
    return stat?.type === "file" ? { size: stat.size, mtimeMs: stat.mtimeMs } : undefined;
  }

  /** At most `length` bytes from an offset. Throws where the file is gone, or where it can't be had cheaply. */
  async read(offset: number, length: number): Promise<Buffer> {
    const files: ReadableFiles =
      (await this.#guest())?.files ?? new AsleepFiles({ engine: this.engine, entry: this.entry });
    const { stream } = await files.read(PATH, { offset, length });
    return await buffer(stream);
  }

  async #guest() {
    if (this.entry.state !== "running") return undefined;
    return await this.guests.connected(this.entry)?.catch(() => undefined);
  }
}
