import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

const { O_APPEND, O_CREAT, O_DSYNC, O_WRONLY } = constants;

/** The file that events are written to: what `append` has resolved for is on disk, whatever happens to the machine. */
export class AuditFile {
  #dirty = false;

  private constructor(
    private readonly handle: FileHandle,
    private written: number,
  ) {}

  /** Opens the file to append to it, and makes it where there is none. */
  static async open(path: string): Promise<AuditFile> {
    const handle = await open(path, O_WRONLY | O_APPEND | O_CREAT | O_DSYNC, 0o600);
    return new AuditFile(handle, (await handle.stat()).size);
  }

  /** Bytes written for good. */
  get size(): number {
    return this.written;
  }

  /** Writes all of it or nothing. Throws what the file system throws. */
  async append(data: Buffer): Promise<void> {
    if (this.#dirty) await this.#restore();
    this.#dirty = true;
    let at = 0;
    while (at < data.length) {
      const { bytesWritten } = await this.handle
        .write(data, at, data.length - at)
        .catch(async (error: unknown) => {
          await this.#restore().catch(() => {});
          throw error;
        });
      at += bytesWritten;
    }
    this.#dirty = false;
    this.written += data.length;
  }

  async close(): Promise<void> {
    await this.handle.close();
  }

  /** Takes a write that was cut off out again. */
  async #restore(): Promise<void> {
    await this.handle.truncate(this.written);
    this.#dirty = false;
  }
}
