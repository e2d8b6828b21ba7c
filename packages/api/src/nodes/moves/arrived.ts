import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/** A node that has been away for longer has no say in where a space is. */
const KEEP_MS = 400 * 24 * 3600_000;

/**
 * The moves that brought spaces here which have been removed since: the node that such a space came from may ask only later, and must
 * not take its old copy for the space. An empty file each.
 */
export class Arrived {
  constructor(private readonly folder: string) {}

  /** Notes that the space of a move is being removed; resolves when that is on disk. */
  async note(move: string): Promise<void> {
    if (!z.uuid().safeParse(move).success) return;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const file = await open(join(this.folder, move), "w", 0o600);
    await file.sync().finally(() => file.close());
  }

  /** Whether the space of a move was here. */
  async had(move: string): Promise<boolean> {
    return await stat(join(this.folder, move)).then(
      () => true,
      () => false,
    );
  }

  /** Forgets what nobody asks for any more. */
  async sweep(): Promise<void> {
    for (const move of await readdir(this.folder).catch(() => [])) {
      const file = join(this.folder, move);
      const { mtimeMs } = await stat(file);
      if (Date.now() - mtimeMs > KEEP_MS) await rm(file, { force: true });
    }
  }
}
