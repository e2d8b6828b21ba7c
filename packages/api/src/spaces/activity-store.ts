import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";

const ActivitySchema = z.record(z.string(), z.number());

/** When each space was last used, kept in a file so that a restart of the daemon does not begin the idle time anew. */
export class ActivityStore {
  #known = new Map<string, number>();
  #written = "";

  constructor(private readonly file: string) {}

  /** Reads the file; one that can't be read counts as empty, since nothing but a later sleep depends on it. */
  async load(): Promise<void> {
    const text = await readFile(this.file, "utf8").catch(() => "{}");
    try {
      this.#known = new Map(Object.entries(ActivitySchema.parse(JSON.parse(text))));
    } catch {
      this.#known = new Map();
    }
  }

  /** When the container's space was last used, as far as is known. */
  of(containerId: string): Date | undefined {
    const at = this.#known.get(containerId);
    return at === undefined ? undefined : new Date(at);
  }

  /** Writes the file where something changed. */
  async save(spaces: { id: string; lastActivity: Date }[]): Promise<void> {
    this.#known = new Map(spaces.map(({ id, lastActivity }) => [id, lastActivity.getTime()]));
    const text = JSON.stringify(Object.fromEntries(this.#known));
    if (text === this.#written) return;
    await mkdir(dirname(this.file), { recursive: true });
    await writeFile(`${this.file}.new`, text);
    await rename(`${this.file}.new`, this.file);
    this.#written = text;
  }
}
