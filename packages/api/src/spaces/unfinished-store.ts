import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseJson } from "@clawdspace/protocol";
import { z } from "zod";

const RecordSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("create"), createId: z.string(), at: z.number() }),
  z.object({
    kind: z.literal("remove"),
    containerId: z.string(),
    volume: z.string(),
    at: z.number(),
  }),
]);
export type Unfinished = z.infer<typeof RecordSchema>;

/**
 * What is being changed in the engine in more than one step, a file each until it is done. A daemon that is killed in the
 * middle leaves the file, and the next one knows what to undo or to finish.
 */
export class UnfinishedStore {
  readonly #own = new Set<string>();

  constructor(private readonly folder: string) {}

  /** Writes a record down. Resolves to what forgets it again. */
  async add(record: Unfinished): Promise<() => Promise<void>> {
    const file = `${randomUUID()}.json`;
    this.#own.add(file);
    mkdirSync(this.folder, { recursive: true });
    // Synchronous, since every create waits for it: to the page cache it takes a tenth of what going through a thread does.
    writeFileSync(join(this.folder, file), JSON.stringify(record));
    return async () => {
      rmSync(join(this.folder, file), { force: true });
      this.#own.delete(file);
    };
  }

  /** What earlier daemons left, each with what forgets it. A file that makes no sense is removed. */
  async left(): Promise<{ record: Unfinished; forget: () => Promise<void> }[]> {
    const found = [];
    for (const file of await readdir(this.folder).catch(() => [])) {
      if (this.#own.has(file)) continue;
      const path = join(this.folder, file);
      const forget = () => rm(path, { force: true });
      const text = await readFile(path, "utf8").catch(() => "");
      const parsed = RecordSchema.safeParse(parseJson(text));
      if (parsed.success) found.push({ record: parsed.data, forget });
      else await forget();
    }
    return found;
  }
}
