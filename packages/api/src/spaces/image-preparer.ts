import { createHash } from "node:crypto";
import { ClawdspaceError } from "@clawdspace/protocol";
import type { Engine, ImageSummary } from "../engine/engine.js";
import { EngineError } from "../engine/engine.js";
import { readTarFile, tarOf } from "../engine/tar.js";
import { SANDBOX_UID, SANDBOX_USER, WORKSPACE } from "./container-spec.js";
import { LABEL, type Names } from "./names.js";
import type { CreateOptions } from "./space-service.js";
import type { SpaceSpec } from "./space-spec.js";

const GUEST_IN_IMAGE = "/usr/lib/clawdspace/guest";
const GUEST_VOLUME_MOUNT = "/.clawdspace";

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

  /** The volume that holds the guest agent, or undefined where the agent can't run in this image. */
  async guestVolume(image: ImageSummary): Promise<string | undefined> {
    if (!this.options.guest) return undefined;
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
    const known = await this.engine.listVolumes({
      ...this.names.ours,
      "clawdspace.guest": image.id,
    });
    if (known[0]) return { arch: image.arch, volume: known[0].name };
    const source = await this.#scratch("source", []);
    try {
      const binary = await readTarFile(await this.engine.readArchive(source, GUEST_IN_IMAGE));
      const volume = this.names.guestVolume(
        createHash("sha256").update(binary).digest("hex").slice(0, 16),
      );
      await this.engine.createVolume(volume, { ...this.names.ours, "clawdspace.guest": image.id });
      const target = await this.#scratch("target", [
        { source: volume, target: GUEST_VOLUME_MOUNT, readonly: false, labels: {} },
      ]);
      try {
        await this.engine.writeArchive(
          target,
          GUEST_VOLUME_MOUNT,
          await tarOf([{ name: "guest", mode: 0o755, data: binary }]),
        );
      } finally {
        await this.engine.removeContainer(target);
      }
      return { arch: image.arch, volume };
    } finally {
      await this.engine.removeContainer(source);
    }
  }

  /** A container that is never started, to copy from and to. */
  async #scratch(
    what: string,
    volumes: {
      source: string;
      target: string;
      readonly: boolean;
      labels: Record<string, string>;
    }[],
  ) {
    const name = `${this.names.namespace}.guest.${what}.${process.pid}`;
    return await this.engine.createContainer({
      name,
      image: this.options.image,
      command: ["true"],
      init: false,
      env: {},
      user: SANDBOX_USER,
      workdir: "/",
      hostname: "scratch",
      labels: { ...this.names.ours, "clawdspace.scratch": what },
      memoryBytes: 64 * 1024 ** 2,
      cpus: 1,
      pids: 16,
      volumes,
      tmpfs: [],
      network: "none",
      readonlyRootfs: false,
      gpu: false,
    });
  }

  /**
   * Gives a container of somebody else's image, before it starts, what ours has: a user for our uid and a
   * /workspace that is its own.
   */
  async adapt(containerId: string, image: ImageSummary, spec: SpaceSpec): Promise<void> {
    if (image.labels[LABEL.sandbox] === "1") return;
    await this.engine.writeArchive(
      containerId,
      WORKSPACE,
      await tarOf([{ name: ".", mode: 0o755, owner: SANDBOX_UID }]),
    );
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
