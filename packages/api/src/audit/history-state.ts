import { readFile } from "node:fs/promises";
import { z } from "zod";
import { replaceFile } from "./files.js";

const MAX_SPACES = 20_000;

const PlaceSchema = z.object({
  /** Up to here the file's commands are in the log. */
  offset: z.number(),
  /** What stands right before, in base64, to see that the file is still the same one. */
  tail: z.string().optional(),
  /** The file as it was looked at last. */
  size: z.number(),
  mtimeMs: z.number(),
  /** It was written anew: what the log has already is looked for command by command. */
  rewritten: z.boolean().optional(),
  /** What follows the offset is no whole command, so that it is read again only when the file changes. */
  stuck: z.boolean().optional(),
});

/** How far one space's history has been read. */
export type HistoryPlace = z.infer<typeof PlaceSchema>;

const StateSchema = z.object({
  /** The log's last event when this was saved: what came later may be further than what is saved here. */
  lastId: z.number(),
  places: z.record(z.string(), PlaceSchema),
});

/** How far the history of each space has been read, over restarts. The log itself has what was not saved here in time. */
export class HistoryState {
  readonly #places = new Map<string, HistoryPlace>();
  #lastId = 0;

  constructor(private readonly path: string) {}

  /** Returns the number of the last event that what is saved knows of. */
  async load(): Promise<number> {
    const text = await readFile(this.path, "utf8").catch(() => "");
    const saved = StateSchema.safeParse(parse(text));
    for (const [space, place] of Object.entries(saved.data?.places ?? {})) {
      this.#places.set(space, place);
    }
    this.#lastId = saved.data?.lastId ?? 0;
    return this.#lastId;
  }

  get(space: string): HistoryPlace | undefined {
    return this.#places.get(space);
  }

  set(space: string, place: HistoryPlace): void {
    // The one that was set longest ago comes first, and goes where there are too many.
    this.#places.delete(space);
    this.#places.set(space, place);
    for (const oldest of this.#places.keys()) {
      if (this.#places.size <= MAX_SPACES) break;
      this.#places.delete(oldest);
    }
  }

  async save(lastId: number): Promise<void> {
    const places = Object.fromEntries(this.#places);
    await replaceFile(this.path, JSON.stringify({ lastId, places }), false);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
