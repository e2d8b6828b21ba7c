import type { Readable } from "node:stream";
import { ClawdspaceError } from "@clawdspace/protocol";
import { GuestError } from "../guest/types.js";
import { named } from "./file-errors.js";
import type { SpaceFiles } from "./space-files.js";
import { pour } from "./streams.js";
import type { WorkspacePath } from "./workspace-path.js";

/** Small files are taken from the archive into memory, so that several can be written at once. */
const SMALL_BYTES = 256 * 1024;
const AT_ONCE = 16;
const MAX_NAMED_SKIPS = 100;
const DEFAULT_FOLDER_MODE = 0o755;

/** One entry of an archive that is unpacked. */
export type IncomingEntry = { name: Buffer } & (
  | {
      type: "file";
      mode: number | undefined;
      size: number;
      /** Its bytes, to be asked for once, in either way. */
      content: () => Promise<Readable>;
      whole: () => Promise<Buffer>;
    }
  | { type: "dir"; mode: number | undefined }
  | { type: "symlink"; target: Buffer }
  | { type: "hard link"; to: Buffer }
  | { type: "device" }
);

export interface Unpacked {
  entries: number;
  skipped: { path: string; reason: string }[];
}

/**
 * Writes the entries of an archive below a folder. A name that leads out of the folder fails the whole; a symlink is made
 * whatever it points to, but never followed out of the workspace. Throws `invalid_request` and what writes throw.
 */
export async function takeIn(
  files: SpaceFiles,
  folder: WorkspacePath,
  incoming: AsyncIterable<IncomingEntry>,
): Promise<Unpacked> {
  const unpacking = new Unpacking(files, folder);
  if (!folder.isRoot) await unpacking.makeFolder(folder);
  try {
    for await (const entry of incoming) await unpacking.add(entry);
  } finally {
    await unpacking.settle().catch(() => {});
  }
  return await unpacking.finish();
}

class Unpacking {
  #entries = 0;
  readonly #skipped: Unpacked["skipped"] = [];
  readonly #running = new Map<string, Promise<void>>();
  #failure: { error: unknown } | undefined;
  /** Set when their content is complete, as a folder may forbid writing. */
  readonly #folderModes: [WorkspacePath, number][] = [];

  constructor(
    private readonly files: SpaceFiles,
    private readonly folder: WorkspacePath,
  ) {}

  async add(entry: IncomingEntry): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const path = placeOf(this.folder, entry.name);
    this.#entries++;
    if (path.isRoot) return;
    if (entry.type === "device") return this.#skip(path, "is a device, pipe or the like");
    if (entry.type === "file" && entry.size <= SMALL_BYTES) {
      const data = await entry.whole();
      const mode = entry.mode;
      return await this.#beside(path, () => this.#write(path, mode, data));
    }
    if (entry.type === "dir") {
      if (entry.mode !== undefined && entry.mode !== DEFAULT_FOLDER_MODE) {
        this.#folderModes.push([path, entry.mode]);
      }
      return await this.#beside(path, () => this.makeFolder(path));
    }
    // What refers to other entries, or takes long, comes alone.
    await this.settle();
    if (entry.type === "file") {
      await this.#naming(path, async () => this.#write(path, entry.mode, await entry.content()));
    } else if (entry.type === "symlink") {
      await this.#naming(path, () => this.#link(path, entry.target));
    } else {
      const to = placeOf(this.folder, entry.to);
      await this.#naming(path, async () => {
        await this.#clear(path);
        await this.files.copy(to.bytes, path.bytes, { overwrite: true });
      });
    }
  }

  async finish(): Promise<Unpacked> {
    await this.settle();
    for (const [path, mode] of this.#folderModes.reverse()) {
      await this.#naming(path, () => this.files.chmod(path.bytes, mode));
    }
    return { entries: this.#entries, skipped: this.#skipped };
  }

  /** Waits for what runs beside. Throws what failed there. */
  async settle(): Promise<void> {
    await Promise.all(this.#running.values());
    if (this.#failure) throw this.#failure.error;
  }

  async makeFolder(path: WorkspacePath): Promise<void> {
    await this.#naming(path, () => this.files.mkdir(path.bytes, { parents: true }));
  }

  async #beside(path: WorkspacePath, task: () => Promise<void>): Promise<void> {
    const key = path.bytes.toString("latin1");
    await this.#running.get(key);
    // The oldest: a race would leave a reaction behind at each one that goes on.
    for (const oldest of this.#running.values()) {
      if (this.#running.size < AT_ONCE) break;
      await oldest;
    }
    const run = this.#naming(path, task)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(key));
    this.#running.set(key, run);
  }

  /** A symlink that is in the way is replaced, not followed. */
  async #write(path: WorkspacePath, mode: number | undefined, content: Buffer | Readable) {
    if ((await this.#typeAt(path)) === "symlink") await this.files.remove(path.bytes);
    const options = mode === undefined ? {} : { mode };
    if (Buffer.isBuffer(content)) await this.files.writeAll(path.bytes, content, options);
    else await pour(content, this.files.write(path.bytes, options));
  }

  async #link(path: WorkspacePath, target: Buffer): Promise<void> {
    await this.#clear(path);
    if (!path.parent.isRoot) await this.files.mkdir(path.parent.bytes, { parents: true });
    await this.files.symlink(path.bytes, target);
  }

  async #clear(path: WorkspacePath): Promise<void> {
    const type = await this.#typeAt(path);
    if (type === "dir") throw new GuestError("is_directory", "is a folder");
    if (type !== undefined) await this.files.remove(path.bytes);
  }

  async #typeAt(path: WorkspacePath) {
    try {
      return (await this.files.stat(path.bytes)).type;
    } catch (error) {
      if (error instanceof GuestError && error.code === "not_found") return undefined;
      throw error;
    }
  }

  async #naming(path: WorkspacePath, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      throw named(error, path);
    }
  }

  #skip(path: WorkspacePath, reason: string): void {
    this.#entries--;
    if (this.#skipped.length < MAX_NAMED_SKIPS) this.#skipped.push({ path: `${path}`, reason });
  }
}

/** Where an entry goes. Throws `invalid_request` for a name that leads out of the folder. */
function placeOf(folder: WorkspacePath, name: Buffer): WorkspacePath {
  if (name[0] === 0x2f) {
    throw new ClawdspaceError(
      "invalid_request",
      `The archive holds the absolute path ${JSON.stringify(name.toString())}. Nothing of that is unpacked; make it with relative paths.`,
    );
  }
  return folder.join(name);
}
