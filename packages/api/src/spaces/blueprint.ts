import type { Engine, EngineInfo, ImageSummary } from "../engine/engine.js";
import type { CreateOptions } from "./create-options.js";
import { type ImagePreparer, isSandboxImage } from "./image-preparer.js";
import type { Isolation } from "./isolation.js";
import type { SpaceSpec } from "./space-spec.js";

/** All that a space's container is made of, found and checked, before anything is made. */
export interface Blueprint {
  spec: SpaceSpec;
  image: ImageSummary;
  /** Whether the image is one of ours. */
  sandboxImage: boolean;
  /** The volume that holds the guest agent; undefined where it can't run. */
  guestVolume: string | undefined;
  /** As JSON, in place of the engine's. */
  seccompProfile: string | undefined;
}

/** Draws blueprints: sees to it that the image is there and that this engine can confine the space as it should. */
export class Blueprints {
  #node: EngineInfo | undefined;

  constructor(
    private readonly engine: Pick<Engine, "info">,
    private readonly images: ImagePreparer,
    private readonly isolation: Isolation,
  ) {}

  /**
   * @param pull whether an image that isn't there is pulled.
   * Throws `image_unavailable`, and `unprocessable` with what the engine can't do.
   */
  async draw(wanted: SpaceSpec, pull: boolean, options: CreateOptions): Promise<Blueprint> {
    const image = await this.images.ensure(wanted.image, pull, options);
    const guestVolume = await this.images.guestVolume(image, wanted.runtime);
    const seccompProfile = await this.isolation.check(wanted, await this.node());
    return {
      spec: { ...wanted, guest: guestVolume !== undefined },
      image,
      sandboxImage: isSandboxImage(image),
      guestVolume,
      seccompProfile,
    };
  }

  /** What the engine says of its node, as it was when first asked. */
  async node(): Promise<EngineInfo> {
    this.#node ??= await this.engine.info();
    return this.#node;
  }
}
