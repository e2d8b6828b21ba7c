import { randomUUID } from "node:crypto";
import { ClawdspaceError, type CreateSpaceRequest, type Template } from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import { type ClaimParts, claimMember } from "../pool/claim.js";
import type { Member } from "../pool/member.js";
import type { WarmPool } from "../pool/warm-pool.js";
import type { Blueprint, Blueprints } from "./blueprint.js";
import { type BuildParts, buildContainer } from "./build-container.js";
import { toContainerSpec } from "./container-spec.js";
import type { CreateOptions, Furnish, MakeOptions } from "./create-options.js";
import { meetEarly } from "./meet-early.js";
import { LABEL, spaceIdentity } from "./names.js";
import type { SpaceRegistry } from "./registry.js";
import { SpaceEntry } from "./space-entry.js";
import { checkFits, resolveSpec, type SpaceSpec, type SpecDefaults } from "./space-spec.js";

export interface MakerParts extends BuildParts, ClaimParts {
  registry: SpaceRegistry;
  blueprints: Blueprints;
  pool: WarmPool;
  defaults: SpecDefaults;
  log: FastifyBaseLogger;
}

/** What is made so far of a space: enough to undo it. */
interface Made {
  createId: string;
  id?: string;
  address?: string | undefined;
  entry?: SpaceEntry;
}

/** A container of the pool that turned out to be of no use. */
class ClaimFailed extends Error {}

/** Makes spaces: settles what one will be, and makes it or nothing. Callers see to it that one name is made once at a time. */
export class SpaceMaker {
  constructor(
    private readonly parts: MakerParts,
    private readonly furnish: Furnish,
  ) {}

  /** What the space will be. Throws `invalid_request`, and `insufficient_resources` where the node hasn't got that. */
  async settle(request: CreateSpaceRequest, template: Template): Promise<SpaceSpec> {
    const spec = resolveSpec(request, template, this.parts.defaults);
    checkFits(spec, await this.parts.blueprints.node());
    return spec;
  }

  /**
   * Makes the space, or leaves no container, volume or file of it: of a container that waits where one fits, else anew.
   * Throws `image_unavailable`, `cancelled`, and what `furnish` throws.
   */
  async make(
    request: CreateSpaceRequest,
    template: Template,
    wanted: SpaceSpec,
    options: MakeOptions,
  ): Promise<SpaceEntry> {
    const { pool, blueprints, engine, names, log } = this.parts;
    const furnish = (entry: SpaceEntry) => this.furnish(entry, request, template, options);
    const release = pool.hold();
    try {
      const [blueprint, kept] = await Promise.all([
        blueprints.draw(wanted, request.wait ?? true, options),
        engine.findVolume(names.volume(request.name)),
      ]);
      const member = kept ? undefined : pool.take(blueprint);
      if (member) {
        try {
          return await this.#claim(request.name, blueprint, member, furnish, options);
        } catch (error) {
          if (!(error instanceof ClaimFailed)) throw error;
          log.warn({ err: error.cause, space: request.name }, "a waiting container was of no use");
        }
      }
      const backing = kept?.labels[LABEL.backing];
      return await this.#build(request.name, blueprint, backing, furnish, options);
    } finally {
      release();
    }
  }

  /** Makes a space of a spec that is settled, or nothing; a pool's container is never used for it. Throws as `make` does. */
  async arrive(
    name: string,
    wanted: SpaceSpec,
    furnish: (entry: SpaceEntry) => Promise<void>,
    options: CreateOptions,
  ): Promise<SpaceEntry> {
    const { pool, blueprints } = this.parts;
    const release = pool.hold();
    try {
      const blueprint = await blueprints.draw(wanted, false, options);
      return await this.#build(name, blueprint, undefined, furnish, options);
    } finally {
      release();
    }
  }

  async #claim(
    name: string,
    { spec: wanted }: Blueprint,
    member: Member,
    furnish: (entry: SpaceEntry) => Promise<void>,
    options: MakeOptions,
  ): Promise<SpaceEntry> {
    const { address, createId, id } = member;
    const spec = { ...wanted, ...(address ? { address } : {}), claimed: true };
    try {
      return await this.#finish(name, { createId, id, address }, options, async () => {
        const entry = await claimMember(this.parts, member, name, spec).catch((cause: unknown) => {
          throw new ClaimFailed("the claim failed", { cause });
        });
        return { entry, furnish };
      });
    } finally {
      this.parts.pool.settle(member);
    }
  }

  /** @param backing the volume that holds the workspace where the space's own is another name of it */
  async #build(
    name: string,
    blueprint: Blueprint,
    backing: string | undefined,
    furnish: (entry: SpaceEntry) => Promise<void>,
    options: CreateOptions,
  ): Promise<SpaceEntry> {
    const { engine, names, network, disks } = this.parts;
    const made: Made = { createId: randomUUID() };
    return await this.#finish(name, made, options, async () => {
      const link = await network.lease(blueprint.spec);
      made.address = link?.address;
      const identity = spaceIdentity(names, name, made.createId);
      const { source, labels } = identity.workspace;
      const diskBytes = await disks.prepare(source, labels, blueprint.spec.diskBytes);
      const spec = {
        ...blueprint.spec,
        ...(link ? { address: link.address } : {}),
        ...(link?.gateway ? { gateway: link.gateway } : {}),
        ...(diskBytes ? { diskBytes } : {}),
      };
      if (backing) identity.workspace.source = backing;
      // Until then the space reaches nothing, so that its start needn't wait.
      const admitted = network.admit(spec);
      admitted.catch(() => {});
      const container = toContainerSpec(spec, { ...blueprint, identity, network: link?.network });
      let inspect = () => engine.inspectContainer(made.id ?? "");
      await buildContainer(this.parts, { ...blueprint, spec }, container, (id) => {
        made.id = id;
        options.signal.throwIfAborted();
        if (spec.guest) inspect = meetEarly(this.parts, { id, name });
      });
      await admitted;
      const details = await inspect();
      const entry = new SpaceEntry(name, details.id, spec, details.createdAt, "running");
      entry.learn(details);
      return { entry, furnish };
    });
  }

  /** Runs a making to its end: furnishes the space and names it, which commits it, or undoes all. */
  async #finish(
    name: string,
    made: Made,
    { signal }: CreateOptions,
    make: () => Promise<{ entry: SpaceEntry; furnish: (entry: SpaceEntry) => Promise<void> }>,
  ): Promise<SpaceEntry> {
    const { engine, names, registry, network, disks, guests, leftovers, log } = this.parts;
    const { forget, end } = await leftovers.creating(made.createId);
    try {
      signal.throwIfAborted();
      const { entry, furnish } = await make();
      made.entry = entry;
      signal.throwIfAborted();
      await furnish(entry);
      signal.throwIfAborted();
      const arrived = registry.await(entry.id);
      await engine.renameContainer(entry.id, names.container(name)).catch((error: unknown) => {
        arrived();
        throw error;
      });
      registry.put(entry);
      await forget();
      return entry;
    } catch (error) {
      if (made.entry) registry.drop(made.entry);
      else if (made.id) guests.close({ id: made.id });
      await leftovers.undo(made.id, made.createId).then(forget, (cause: unknown) => {
        log.error({ err: cause, space: name }, "a failed create could not be undone yet");
      });
      if (!made.entry) network.release(made.address);
      throw signal.aborted
        ? new ClawdspaceError("cancelled", "The client went away, so the space was not made.")
        : disks.explain(error);
    } finally {
      end();
    }
  }
}
