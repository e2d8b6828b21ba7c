import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { ClawdspaceError } from "@clawdspace/protocol";
import type { Engine, ImageSummary, VolumeMount } from "../engine/engine.js";
import { EngineError } from "../engine/engine.js";
import { readTarFile, tarOf } from "../engine/tar.js";
import { SANDBOX_UID, SANDBOX_USER, WORKSPACE } from "./container-spec.js";
import type { CreateOptions } from "./create-options.js";
import { LABEL, type Names } from "./names.js";
import type { SpaceSpec } from "./space-spec.js";

const GUEST_IN_IMAGE = "/usr/lib/clawdspace/guest";
/** Its kernel doesn't tell a parent when a child that shares its memory runs another program, nor has it openat2. */
const GVISOR = /^(runsc|gvisor)/i;
const GUEST_VOLUME_MOUNT = "/.clawdspace";

/** Whether an image is one of ours: user, folders and shell are as spaces need them. */
export const isSandboxImage = (image: ImageSummary) => image.labels[LABEL.sandbox] === "1";

/** Sees to it that an image is on the node, that the guest agent can be mounted, and that any image has what a space needs. */
export class ImagePreparer {
  #guest: Promise<{ arch: string; volume: string }> | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly names: Names,
    private readonly options: { image: string; guest: boolean },
  ) {}

  /** Finds an image, pulling it where it is not on the node and `pull` allows. Throws `image_unavailable`. */
  async ensure(
    ref: string,
    pull: boolean,
    { signal, onProgress }: CreateOptions,
  ): Promise<ImageSummary> {
    const present = await this.engine.findImage(ref);
    if (present) return present;
    if (!pull) {
      throw new ClawdspaceError(
        "image_unavailable",
        `The image "${ref}" is not on this node. Leave out "wait": false to pull it, or load it first.`,
      );
    }
    onProgress({ type: "progress", step: "image", message: `Pulling ${ref}` });
    try {
      await this.engine.pullImage(
        ref,
        (each) => onProgress({ type: "progress", step: "image", ...each }),
        signal,
      );
    } catch (cause) {
      if (cause instanceof EngineError && cause.kind === "unavailable") throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new ClawdspaceError(
        "image_unavailable",
        `The image "${ref}" is not on this node and could not be pulled. ${why}`,
        { cause },
      );
    }
    const pulled = await this.engine.findImage(ref);
    if (pulled) return pulled;
    throw new ClawdspaceError(
      "image_unavailable",
      `The image "${ref}" was pulled and is not there.`,
    );
  }

  /** The volume that holds the guest agent, or undefined where the agent can't run in this image or runtime. */
  async guestVolume(image: ImageSummary, runtime?: string): Promise<string | undefined> {
    if (!this.options.guest || GVISOR.test(runtime ?? "")) return undefined;
    this.#guest ??= this.#publishGuest().catch((error: unknown) => {
      this.#guest = undefined;
      throw error;
    });
    const guest = await this.#guest;
    return guest.arch === image.arch ? guest.volume : undefined;
  }

  /** Forgets which volume holds the guest agent, so that a removed one is made again. */
  forgetGuest(): void {
    this.#guest = undefined;
  }

  /** Copies the guest agent out of the sandbox image into a volume named by its hash, once for each version of it. */
  async #publishGuest(): Promise<{ arch: string; volume: string }> {
    const image = await this.engine.findImage(this.options.image);
    if (!image) {
      throw new ClawdspaceError(
        "image_unavailable",
        `The sandbox image "${this.options.image}" is not on this node. \`npm start\` builds it.`,
      );
    }
    const binary = await this.#inScratch([], async (id) =>
      readTarFile(await this.engine.readArchive(id, GUEST_IN_IMAGE)),
    );
    const hash = createHash("sha256").update(binary).digest("hex").slice(0, 16);
    const volume = this.names.guestVolume(hash);
    await this.engine.createVolume(volume, this.names.ours);
    const mount = {
      source: volume,
      target: GUEST_VOLUME_MOUNT,
      readonly: false,
      labels: {},
      copyUp: false,
    };
    await this.#inScratch([mount], async (id) => {
      const present = await this.engine.statPath(id, `${GUEST_VOLUME_MOUNT}/guest`);
      if (present?.size === binary.length) return;
      const archive = await tarOf([{ name: "guest", mode: 0o755, data: binary }]);
      await this.engine.writeArchive(id, GUEST_VOLUME_MOUNT, archive);
    });
    return { arch: image.arch, volume };
  }

  /** Runs a task on a container of ours that never starts: a way to a volume or to what is in the image. */
  async #inScratch<T>(volumes: VolumeMount[], task: (id: string) => Promise<T>): Promise<T> {
    const id = await this.engine.createContainer({
      name: this.names.scratch(),
      image: this.options.image,
      command: ["true"],
      init: false,
      env: {},
      user: SANDBOX_USER,
      workdir: "/",
      hostname: "scratch",
      labels: this.names.ours,
      memoryBytes: 64 * 1024 ** 2,
      cpus: 1,
      pids: 16,
      volumes,
      tmpfs: [],
      network: "none",
      readonlyRootfs: false,
    });
    try {
      return await task(id);
    } finally {
      await this.engine.removeContainer(id);
    }
  }

  /**
   * Makes the volume of a space whose image is somebody else's, owned by the space's user: a new volume takes on what
   * the first image has where it is mounted, so the first to mount it is a container of ours that never starts.
   */
  async seedVolume(
    image: ImageSummary,
    volume: string,
    labels: Record<string, string>,
  ): Promise<void> {
    if (isSandboxImage(image)) return;
    await this.#inScratch(
      [{ source: volume, target: WORKSPACE, readonly: false, labels, copyUp: true }],
      async () => {},
    );
  }

  /**
   * Fills a space's volume with an archive of another one's workspace, as the engine gives it. By way of a container whose root can
   * be written: only there does the engine take links that lead out of the workspace, and it follows none while it unpacks.
   */
  async fillVolume(volume: string, archive: Readable): Promise<void> {
    const mount = { source: volume, target: WORKSPACE, readonly: false, labels: {}, copyUp: false };
    await this.#inScratch([mount], (id) => this.engine.writeArchive(id, "/", archive));
  }

  /** Gives a container of somebody else's image, before it starts, a user for our uid. */
  async adapt(containerId: string, image: ImageSummary, spec: SpaceSpec): Promise<void> {
    if (isSandboxImage(image)) return;
    if (!spec.writableRootfs) return;
    await this.#append(
      containerId,
      "/etc/passwd",
      `sandbox:x:${SANDBOX_UID}:${SANDBOX_UID}::${WORKSPACE}:/bin/sh\n`,
    );
    await this.#append(containerId, "/etc/group", `sandbox:x:${SANDBOX_UID}:\n`);
  }

  /** Adds a line to a file of accounts unless our id has an entry there; an image without such a file stays without. */
  async #append(containerId: string, path: string, line: string): Promise<void> {
    if ((await this.engine.statPath(containerId, path))?.type !== "file") return;
    const text = (await readTarFile(await this.engine.readArchive(containerId, path))).toString(
      "latin1",
    );
    const taken = text
      .split("\n")
      .some((each) => each.split(":")[2] === `${SANDBOX_UID}` || each.startsWith("sandbox:"));
    if (taken) return;
    const data = Buffer.from(
      `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${line}`,
      "latin1",
    );
    const name = path.slice(path.lastIndexOf("/") + 1);
    await this.engine.writeArchive(containerId, "/etc", await tarOf([{ name, mode: 0o644, data }]));
  }
}
