import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EnvSchema } from "@clawdspace/protocol";
import type { SpaceEntry } from "./space-entry.js";

/**
 * The environment that spaces were created with. It is given to each process and kept in files that only the
 * daemon's user reads, so that secrets stay out of the container's configuration.
 */
export class EnvStore {
  readonly #cache = new Map<string, Record<string, string>>();

  constructor(private readonly folder: string) {}

  /** Remembers a space's environment, also over a restart of the daemon. */
  async set(entry: SpaceEntry, env: Record<string, string>): Promise<void> {
    this.#cache.set(entry.id, env);
    if (Object.keys(env).length === 0) return;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeFile(this.#file(entry.id), JSON.stringify(env), { mode: 0o600 });
  }

  async of(entry: SpaceEntry): Promise<Record<string, string>> {
    const known = this.#cache.get(entry.id);
    if (known) return known;
    const text = await readFile(this.#file(entry.id), "utf8").catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return "{}";
        throw error;
      },
    );
    const env = EnvSchema.parse(JSON.parse(text));
    this.#cache.set(entry.id, env);
    return env;
  }

  async remove(entry: SpaceEntry): Promise<void> {
    this.#cache.delete(entry.id);
    await rm(this.#file(entry.id), { force: true });
  }

  /**
   * Notes which files there are. What is returned removes those of containers that are no more, as when a create was cut
   * off by the daemon's end; `live` is to be asked after this, so that the file of a space made meanwhile is safe.
   */
  async sweeper(): Promise<(live: Set<string>) => Promise<void>> {
    const files = await readdir(this.folder).catch(() => []);
    return async (live) => {
      for (const file of files) {
        if (!live.has(file.replace(/\.json$/, "")))
          await rm(join(this.folder, file), { force: true });
      }
    };
  }

  #file = (id: string) => join(this.folder, `${id}.json`);
}
