import {
  ClawdspaceError,
  type CreateSpaceRequest,
  type GpuWish,
  type Placement,
} from "@clawdspace/protocol";
import { resolveSpec, type SpecDefaults } from "../spaces/space-spec.js";
import type { TemplateStore } from "../templates/template-store.js";
import type { Fleet } from "./fleet.js";
import type { Peer } from "./peer.js";
import { judge, type Wanted } from "./placement.js";

/** A node to make a space on; `peer` is undefined for this one. */
export interface Place {
  peer: Peer | undefined;
  placement: Placement;
}

/** Chooses nodes for new spaces. */
export class Placing {
  constructor(
    private readonly fleet: Fleet,
    private readonly templates: Pick<TemplateStore, "get" | "fallback">,
    private readonly defaults: SpecDefaults,
  ) {}

  /**
   * The nodes to try in turn: the one that is named, or with "auto" all that would do, the best first.
   * Throws `insufficient_resources` where none would, saying why for each; `not_found`, `node_unreachable`.
   */
  async places(node: string, request: CreateSpaceRequest): Promise<Place[]> {
    if (node !== "auto") {
      return [{ peer: await this.fleet.wanted(node), placement: { node, considered: [] } }];
    }
    const considered = judge(await this.#wanted(request), this.fleet.list().nodes);
    const places = considered
      .filter((verdict) => "score" in verdict)
      .map(({ node: name }) => ({
        peer: this.fleet.peers().find(({ machine }) => machine.name === name),
        placement: { node: name, considered },
      }));
    if (places.length > 0) return places;
    throw new ClawdspaceError(
      "insufficient_resources",
      `No node has room for "${request.name}": ${considered.map(toText).join("; ")}. Ask for less, or undrain or add a node.`,
      { issues: considered.map((verdict) => ({ path: "node", message: toText(verdict) })) },
    );
  }

  /** What a create asks for, by the templates of this node. Throws `not_found`, `invalid_request`. */
  async #wanted(request: CreateSpaceRequest): Promise<Wanted> {
    const { templates, defaults } = this;
    const template = await (request.template
      ? templates.get(request.template)
      : templates.fallback());
    const spec = resolveSpec(request, template, defaults);
    return {
      memoryBytes: spec.memoryBytes,
      cpus: spec.cpus,
      gpus: spec.gpu ? toGpus(spec.gpuWish) : undefined,
      image: spec.image,
      mayPull: request.wait ?? true,
      runtime: spec.runtime,
      needs: request.placement,
    };
  }
}

const toGpus = ({ count, ids, kind, shared }: GpuWish = {}) => {
  return { count: ids?.length ?? count ?? 1, kind, shared };
};

const toText = (verdict: Placement["considered"][number]) =>
  `${verdict.node}: ${verdict.passedOver ?? "it would do"}`;
