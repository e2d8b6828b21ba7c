import { randomUUID } from "node:crypto";
import { ClawdspaceError, type CreateSpaceRequest, type Template } from "@clawdspace/protocol";
import { type ContainerSpec, EngineError, type EngineInfo } from "../engine/engine.js";
import { toContainerSpec } from "./container-spec.js";
import type { Furnish, MakeOptions } from "./create-options.js";
import { type ImagePreparer, isSandboxImage } from "./image-preparer.js";
import type { Isolation } from "./isolation.js";
import type { LeftoverParts, Leftovers } from "./leftovers.js";
import { LABEL } from "./names.js";
import type { SpaceRegistry } from "./registry.js";
import { SpaceEntry } from "./space-entry.js";
import { checkFits, resolveSpec, type SpaceSpec, type SpecDefaults } from "./space-spec.js";
import { type StartParts, startSpace } from "./start-space.js";

export interface MakerParts extends StartParts, LeftoverParts {
  registry: SpaceRegistry;
  images: ImagePreparer;
  isolation: Isolation;
  defaults: SpecDefaults;
  hasGpu: () => Promise<boolean>;
}

/** Makes spaces: settles what one will be, and makes it or nothing. Callers see to it that one name is made once at a time. */
export class SpaceMaker {
  #node: EngineInfo | undefined;

  constructor(
    private readonly parts: MakerParts,
    private readonly leftovers: Leftovers,
    private readonly furnish: Furnish,
  ) {}

  /** What the space will be. Throws `invalid_request`, and `insufficient_resources` where the node hasn't got that. */
  async settle(request: CreateSpaceRequest, template: Template): Promise<SpaceSpec> {
    const spec = resolveSpec(request, template, this.parts.defaults);
    checkFits(spec, await this.#info());
    if (!spec.gpu || (await this.parts.hasGpu())) return spec;
    throw new ClawdspaceError(
      "insufficient_resources",
      "This node has no GPU. Leave out gpu, or choose a template without it.",
      { issues: [{ path: "gpu", message: "this node has no GPU" }] },
    );
  }

  /** Makes the space, or leaves no container, volume or file of it. Throws `image_unavailable`, `cancelled`, and what `furnish` throws. */
  async make(
    request: CreateSpaceRequest,
    template: Template,
    wanted: SpaceSpec,
    options: MakeOptions,
  ): Promise<SpaceEntry> {
    const { engine, images, names, registry, network, isolation, disks } = this.parts;
    const createId = randomUUID();
    let id: string | undefined;
    let address: string | undefined;
    let entry: SpaceEntry | undefined;
    const { forget, end } = await this.leftovers.creating(createId);
    try {
      const image = await images.ensure(wanted.image, request.wait ?? true, options);
      const guestVolume = await images.guestVolume(image, wanted.runtime);
      const seccompProfile = await isolation.check(wanted, await this.#info());
      const link = await network.lease(wanted);
      address = link?.address;
      const diskBytes = await disks.prepare(
        names.volume(request.name),
        { ...names.ours, [LABEL.space]: request.name, [LABEL.create]: createId },
        wanted.diskBytes,
      );
      const spec = {
        ...wanted,
        guest: guestVolume !== undefined,
        ...(address ? { address } : {}),
        ...(link?.gateway ? { gateway: link.gateway } : {}),
        ...(diskBytes ? { diskBytes } : {}),
      };
      // Until then the space reaches nothing, so that its start needn't wait.
      const admitted = network.admit(spec);
      admitted.catch(() => {});
      const container = toContainerSpec(spec, {
        name: request.name,
        createId,
        names,
        guestVolume,
        network: link?.network,
        seccompProfile,
        sandboxImage: isSandboxImage(image),
      });
      const [workspace] = container.volumes;
      if (workspace) await images.seedVolume(image, workspace.source, workspace.labels);
      id = await this.#createContainer(container);
      options.signal.throwIfAborted();
      await images.adapt(id, image, spec);
      await startSpace(this.parts, { name: request.name, id, spec });
      await admitted;
      const details = await engine.inspectContainer(id);
      entry = new SpaceEntry(request.name, id, spec, details.createdAt, "running");
      entry.learn(details);
      options.signal.throwIfAborted();
      await this.furnish(entry, request, template, options);
      options.signal.throwIfAborted();
      await engine.renameContainer(id, names.container(request.name));
      registry.put(entry);
      await forget();
      return entry;
    } catch (error) {
      if (entry) registry.drop(entry);
      await this.leftovers.undo(id, createId).then(forget, (cause: unknown) => {
        this.parts.log.error(
          { err: cause, space: request.name },
          "a failed create could not be undone yet",
        );
      });
      if (!entry) network.release(address);
      throw options.signal.aborted
        ? new ClawdspaceError("cancelled", "The client went away, so the space was not made.")
        : disks.explain(error);
    } finally {
      end();
    }
  }

  /** A name that is taken belongs to what an earlier daemon left unfinished; that is swept first. */
  async #createContainer(spec: ContainerSpec): Promise<string> {
    const { engine } = this.parts;
    try {
      return await engine.createContainer(spec);
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== "conflict") throw error;
      await this.leftovers.sweep();
      return await engine.createContainer(spec);
    }
  }

  async #info(): Promise<EngineInfo> {
    this.#node ??= await this.parts.engine.info();
    return this.#node;
  }
}
