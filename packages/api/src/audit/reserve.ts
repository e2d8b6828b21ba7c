import { randomBytes } from "node:crypto";
import { rm, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { replaceFile } from "./files.js";

/** Some thousand events. */
const RESERVE_BYTES = 1024 ** 2;
/** With less it isn't tried, since trying would use up what events under way may still need. */
const NEEDED_BYTES = 2 * RESERVE_BYTES;

/** Space on the disk that is kept until the disk is full, for the events of what is under way then. */
export class Reserve {
  #held = false;

  constructor(private readonly path: string) {}

  /** Takes the space, if it isn't taken. Throws where the disk doesn't have it. */
  async hold(): Promise<void> {
    if (this.#held) return;
    const size = await stat(this.path).then(
      (found) => found.size,
      () => 0,
    );
    if (size !== RESERVE_BYTES) await this.#take();
    this.#held = true;
  }

  /** Gives it free. Returns whether there was any. */
  async release(): Promise<boolean> {
    const held = this.#held;
    this.#held = false;
    await rm(this.path, { force: true });
    await rm(`${this.path}.new`, { force: true });
    return held;
  }

  async #take(): Promise<void> {
    const { bavail, bsize } = await statfs(dirname(this.path));
    if (bavail * bsize < NEEDED_BYTES) {
      throw Object.assign(new Error("there is no space left on the device"), { code: "ENOSPC" });
    }
    try {
      // Bytes that no file system compresses away.
      await replaceFile(this.path, randomBytes(RESERVE_BYTES));
    } catch (error) {
      await this.release();
      throw error;
    }
  }
}
