import { open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

const ID_DIGITS = 12;

/** Where the files of one audit log lie: the one that is written to, and beside it the segments that are full. */
export class AuditPaths {
  readonly folder: string;
  readonly #stem: string;
  readonly #extension: string;

  /** @param active such as "data/audit.jsonl"; full segments are called "data/audit-000000000001.jsonl.gz". */
  constructor(readonly active: string) {
    this.folder = dirname(active);
    const [, stem = "", extension = ""] = /^(.*?)(\.[^.]*)?$/s.exec(basename(active)) ?? [];
    this.#stem = stem;
    this.#extension = extension;
  }

  /** The last event's number and hash, written now and then: what shows that the log's end was cut off. */
  get head(): string {
    return `${this.active}.head`;
  }

  /** Space kept free for the events of requests that run when the disk gets full. */
  get reserve(): string {
    return `${this.active}.reserve`;
  }

  /** What is under way. */
  get pending(): string {
    return `${this.active}.pending`;
  }

  get lock(): string {
    return `${this.active}.lock`;
  }

  /** What a crash left at the log's end and is no event. */
  get damaged(): string {
    return `${this.active}.damaged`;
  }

  segment(firstId: number): string {
    const id = String(firstId).padStart(ID_DIGITS, "0");
    return join(this.folder, `${this.#stem}-${id}${this.#extension}`);
  }

  compressed = (segment: string) => `${segment}.gz`;
  index = (segment: string) => `${segment}.index`;

  /** The full segments, oldest first, and whether each is compressed. Removes what an interrupted sealing left. */
  async segments(): Promise<{ path: string; firstId: number; compressed: boolean }[]> {
    const found = new Map<number, boolean>();
    const names = await readdir(this.folder);
    const pattern = new RegExp(
      `^${escapeRegExp(this.#stem)}-(\\d{${ID_DIGITS},})${escapeRegExp(this.#extension)}(\\.gz)?(\\.new)?$`,
    );
    for (const name of names) {
      const [, id, gz, unfinished] = pattern.exec(name) ?? [];
      if (id === undefined) continue;
      if (unfinished) await rm(join(this.folder, name), { force: true });
      else found.set(Number(id), found.get(Number(id)) === true || gz !== undefined);
    }
    return [...found]
      .sort(([a], [b]) => a - b)
      .map(([firstId, compressed]) => ({ path: this.segment(firstId), firstId, compressed }));
  }
}

/** Makes sure that names made or changed in a folder are on disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file: a reader sees the old content or the new one. */
export async function replaceFile(path: string, data: string | Buffer, sync = true): Promise<void> {
  const unfinished = `${path}.new`;
  await writeFile(unfinished, data, { mode: 0o600, flush: sync });
  await rename(unfinished, path);
}

const escapeRegExp = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
