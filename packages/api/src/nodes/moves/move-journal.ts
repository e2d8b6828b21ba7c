import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ActorSchema, parseJson } from "@clawdspace/protocol";
import { z } from "zod";

const MoveSchema = z.object({
  id: z.string(),
  space: z.string(),
  containerId: z.string(),
  /** Where it goes. */
  node: z.string(),
  actor: ActorSchema,
  wasRunning: z.boolean(),
  /**
   * "sending": the copy there is nothing yet, and what is here is the space. "committing": the other node may have made its copy the
   * space; which of the two it is only that node can say.
   */
  phase: z.enum(["sending", "committing"]),
});
export type Move = z.infer<typeof MoveSchema>;

/** The moves away from this node that are under way, a file each, so that a daemon that is killed in the middle ends them later. */
export class MoveJournal {
  constructor(private readonly folder: string) {}

  /** Writes down how far a move is; resolves when that is on disk. */
  async write(move: Move): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const file = await open(`${this.#file(move.id)}.new`, "w", 0o600);
    try {
      await file.writeFile(JSON.stringify(move));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${this.#file(move.id)}.new`, this.#file(move.id));
  }

  async remove(id: string): Promise<void> {
    await rm(this.#file(id), { force: true });
  }

  /** What an earlier daemon left. A file that makes no sense was never whole, and is left out. */
  async load(): Promise<Move[]> {
    const files = await readdir(this.folder).catch(() => []);
    const moves = files
      .filter((file) => file.endsWith(".json"))
      .map(async (file) => {
        const text = await readFile(join(this.folder, file), "utf8").catch(() => "");
        const parsed = MoveSchema.safeParse(parseJson(text));
        return parsed.success ? [parsed.data] : [];
      });
    return (await Promise.all(moves)).flat();
  }

  #file = (id: string) => join(this.folder, `${id}.json`);
}
