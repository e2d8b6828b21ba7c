import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Whether this node takes new spaces by placement: a file that is there while it doesn't, so that a restart keeps it. */
export class DrainStore {
  #drained = false;

  constructor(private readonly file: string) {}

  get drained(): boolean {
    return this.#drained;
  }

  async load(): Promise<void> {
    this.#drained = await stat(this.file).then(
      () => true,
      () => false,
    );
  }

  async set(drained: boolean): Promise<void> {
    await mkdir(dirname(this.file), { recursive: true });
    if (drained) await writeFile(this.file, "");
    else await rm(this.file, { force: true });
    this.#drained = drained;
  }
}
