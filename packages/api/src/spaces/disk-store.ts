import { execFile } from "node:child_process";
import { chown, mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ClawdspaceError, formatSize } from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import { type Engine, EngineError } from "../engine/engine.js";
import { SANDBOX_UID } from "./container-spec.js";

const exec = promisify(execFile);
const TOOLS_PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;

/**
 * Workspaces with a size: each a file system of its own, in a file whose bytes are reserved, mounted on the node and
 * given to the engine as the space's volume. What is full is the space's own; the node's disk stays as it was.
 */
export class DiskStore {
  /** @param folder holds a folder for each disk, called as the volume is. */
  constructor(
    private readonly engine: Engine,
    private readonly folder: string,
    private readonly log: FastifyBaseLogger,
  ) {}

  /** Mounts what a reboot of the node has unmounted, and removes what was not finished. */
  async start(): Promise<void> {
    for (const volume of await readdir(this.folder).catch(() => [])) {
      try {
        if (await exists(this.#at(volume, "unfinished"))) await this.#clear(volume);
        else await this.ready(volume);
      } catch (error) {
        this.log.error({ err: error, volume }, "a workspace with a size could not be mounted");
      }
    }
  }

  /**
   * Makes a volume of a size unless there is one already; does nothing where none is asked for.
   * Returns the size in bytes that holds, undefined for none.
   * Throws `unprocessable` where this node can't limit disks or the volume is there with another size, and
   * `insufficient_resources` where the node's disk has no room.
   */
  async prepare(
    volume: string,
    labels: Record<string, string>,
    bytes: number | undefined,
  ): Promise<number | undefined> {
    const image = await stat(this.#at(volume, "image")).catch(() => undefined);
    if (image) {
      if (bytes !== undefined && bytes !== image.size) {
        throw refused(
          `its volume is kept and has ${formatSize(image.size)}; remove the volume first`,
        );
      }
      await this.ready(volume);
      return image.size;
    }
    if (bytes === undefined) return undefined;
    const volumes = await this.engine.listVolumes({});
    if (volumes.some(({ name }) => name === volume)) {
      throw refused("its volume is kept and has no size; remove the volume first");
    }
    await this.#make(volume, bytes);
    await this.engine.createVolume(volume, labels, this.#at(volume, "mount/data"));
    await rm(this.#at(volume, "unfinished"));
    return bytes;
  }

  /** Sees to it that a volume of a size is mounted before its space starts. Without that the engine refuses the start. */
  async ready(volume: string): Promise<void> {
    const [image, mount] = [this.#at(volume, "image"), this.#at(volume, "mount")];
    if (!(await exists(image)) || (await isMountPoint(mount))) return;
    await run("mount", ["-o", "loop,nosuid,nodev", image, mount]);
  }

  /** The engine's error about a disk that it can't see, as ours; every other error as it is. */
  explain(error: unknown): unknown {
    const unseen = error instanceof EngineError && error.message.includes(this.folder);
    return unseen ? refused(`the engine can't use the daemon's files (${error.message})`) : error;
  }

  /** Removes the disk behind a volume that is gone, where it had one. */
  async remove(volume: string): Promise<void> {
    if (await exists(join(this.folder, volume))) await this.#clear(volume);
  }

  async #make(volume: string, bytes: number): Promise<void> {
    if (process.getuid?.() !== 0) throw refused("the daemon does not run as root");
    const [image, mount] = [this.#at(volume, "image"), this.#at(volume, "mount")];
    await mkdir(mount, { recursive: true, mode: 0o700 });
    try {
      await run("touch", [this.#at(volume, "unfinished")]);
      await reserve(image, bytes);
      await run("mkfs.ext4", ["-q", "-m", "0", "-E", "nodiscard", image]);
      await this.ready(volume);
      await mkdir(join(mount, "data"));
      await chown(join(mount, "data"), SANDBOX_UID, SANDBOX_UID);
    } catch (error) {
      await this.#clear(volume);
      throw error;
    }
  }

  async #clear(volume: string): Promise<void> {
    const mount = this.#at(volume, "mount");
    // The engine may be about to let go of it.
    if (await isMountPoint(mount)) await run("umount", ["--lazy", mount]);
    await rm(join(this.folder, volume), { recursive: true, force: true });
  }

  #at = (volume: string, part: string) => join(this.folder, volume, part);
}

async function reserve(image: string, bytes: number): Promise<void> {
  try {
    await exec("fallocate", ["--length", `${bytes}`, image], { env: { PATH: TOOLS_PATH } });
  } catch (cause) {
    if (!/No space left/.test(String(cause))) throw refused(reasonOf(cause), cause);
    throw new ClawdspaceError(
      "insufficient_resources",
      `The space asks for ${formatSize(bytes)} of disk and this node has less. Ask for less.`,
      { cause },
    );
  }
}

async function run(command: string, args: string[]): Promise<void> {
  try {
    await exec(command, args, { env: { PATH: TOOLS_PATH, LC_ALL: "C" } });
  } catch (cause) {
    throw refused(reasonOf(cause), cause);
  }
}

function reasonOf(cause: unknown): string {
  const { stderr, message } = cause as { stderr?: string; message?: string };
  return (stderr || message || String(cause)).trim();
}

const refused = (reason: string, cause?: unknown) =>
  new ClawdspaceError(
    "unprocessable",
    `resources.disk can't be enforced for this space, so it was not made: ${reason}.`,
    { cause },
  );

const exists = async (path: string) =>
  await stat(path).then(
    () => true,
    () => false,
  );

async function isMountPoint(path: string): Promise<boolean> {
  const [at, above] = await Promise.all(
    [stat(path), stat(dirname(path))].map((each) => each.catch(() => undefined)),
  );
  return at !== undefined && above !== undefined && at.dev !== above.dev;
}
