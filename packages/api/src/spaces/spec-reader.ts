import { parseJson } from "@clawdspace/protocol";
import type { ContainerSummary } from "../engine/engine.js";
import type { ClaimStore } from "../pool/claim-store.js";
import { LABEL, type Names } from "./names.js";
import { type SpaceSpec, SpaceSpecSchema } from "./space-spec.js";

/** Reads from the engine which containers are spaces, and what they were made from. */
export class SpecReader {
  constructor(
    private readonly names: Names,
    private readonly claims: Pick<ClaimStore, "of">,
  ) {}

  /** The name of the space that a container is, if it is one and finished. */
  spaceOf({ name, labels }: Pick<ContainerSummary, "name" | "labels">): string | undefined {
    if (labels[LABEL.pool] !== undefined) return this.names.spaceOf(name);
    const space = labels[LABEL.space];
    return space !== undefined && name === this.names.container(space) ? space : undefined;
  }

  /** What a space was made from, and when, where that is not when its container was; undefined where nothing valid tells it. */
  async read(
    container: Pick<ContainerSummary, "id" | "name" | "labels">,
  ): Promise<{ spec: SpaceSpec; createdAt?: Date } | undefined> {
    if (container.labels[LABEL.pool] === undefined) {
      const spec = SpaceSpecSchema.safeParse(parseJson(container.labels[LABEL.spec] ?? ""));
      return spec.success ? { spec: spec.data } : undefined;
    }
    const space = this.spaceOf(container);
    const claim = space === undefined ? undefined : await this.claims.of(container.id, space);
    return claim && { spec: claim.spec, createdAt: new Date(claim.createdAt) };
  }
}
