import { Readable } from "node:stream";
import type { Engine } from "../engine/engine.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { ArchiveEntries } from "./archive-entries.js";
import { NeedsAwake, unlessBeyond } from "./needs-awake.js";
import { hasRoom, Spool } from "./spool.js";
import { quiet } from "./streams.js";

/**
 * The engine sends a folder with all contents, and keeps hold of the container until it has sent them: nothing else can be
 * asked of it, nor can it wake. So an archive is taken in at the engine's own speed, whoever reads it: a small one into
 * memory, a file that is larger to disk. A larger folder is had by a wake instead.
 */
const MAX_ARCHIVE_BYTES = 16 * 1024 ** 2;
const MAX_ARCHIVE_MS = 1000;

/**
 * What is at a place of a sleeping space, taken in as fast as the engine sends it.
 * @param spill a folder for what is large, and its size in bytes. A wake cuts off what is on its way there: its reader gets
 * what has come by then, and `LetGo`. Throws `NeedsAwake` for what is large otherwise, or has no room.
 */
export async function takeArchive(
  engine: Pick<Engine, "readArchive">,
  entry: Pick<SpaceEntry, "id" | "readAsleep">,
  location: string,
  spill?: { spoolIn: string; size: number },
): Promise<ArchiveEntries> {
  let letGo = () => {};
  const done = entry.readAsleep(() => letGo());
  try {
    const source = quiet(await unlessBeyond(engine.readArchive(entry.id, location)));
    const until = Date.now() + MAX_ARCHIVE_MS;
    const rest = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const pieces: Buffer[] = [];
    let length = 0;
    for (let next = await rest.next(); !next.done; next = await rest.next()) {
      length += next.value.length;
      pieces.push(next.value);
      if (length <= MAX_ARCHIVE_BYTES && Date.now() <= until) continue;
      if (!spill || !(await hasRoom(spill.spoolIn, spill.size))) {
        source.destroy();
        throw new NeedsAwake("it is large");
      }
      const spool = await Spool.begin(source, rest, pieces, spill.spoolIn);
      letGo = () => spool.letGo();
      void spool.taken.finally(done);
      return new ArchiveEntries(spool.stream());
    }
    done();
    return new ArchiveEntries(Readable.from(pieces, { objectMode: false }));
  } catch (error) {
    done();
    throw error;
  }
}
