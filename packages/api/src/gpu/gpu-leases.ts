import { ClawdspaceError, type Gpu, type GpuWish } from "@clawdspace/protocol";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { SpaceSpec } from "../spaces/space-spec.js";
import type { GpuDevice } from "./parse.js";

const KEPT_MS = 60_000;

interface Parts {
  detect: () => Promise<GpuDevice[]>;
  /** The spaces of this node. */
  known: () => SpaceEntry[];
  /** Other nodes that have GPUs. */
  elsewhere: () => string[];
}

/**
 * Which space holds which GPU. A space holds those that its container was made with for as long as that isn't stopped: the engine
 * is the truth, and a restart of the daemon forgets nothing. Those of spaces that are being made or started are kept here.
 */
export class GpuLeases {
  readonly #pending = new Map<string, { ids: string[]; shared: boolean }>();
  #found: { at: number; devices: Promise<GpuDevice[]> } | undefined;

  constructor(private readonly parts: Parts) {}

  /** The node's GPUs with who holds them. */
  async list(): Promise<Gpu[]> {
    return (await this.#devices()).map(({ devices: _devices, groups: _groups, ...gpu }) => ({
      ...gpu,
      usedBy: this.#holders(gpu.id).map(({ name }) => name),
    }));
  }

  /**
   * Chooses GPUs for a space that is to be made, and keeps them until `release` is called: by then its container holds them.
   * Throws `insufficient_resources` where the node hasn't got such, `gpu_busy` where others hold them.
   */
  async lease(name: string, spec: SpaceSpec): Promise<{ spec: SpaceSpec; release: () => void }> {
    if (!spec.gpu) return { spec, release: () => {} };
    const wish = spec.gpuWish ?? {};
    const suitable = suits(await this.#devices(), wish);
    const count = wish.ids?.length ?? wish.count ?? 1;
    if (suitable.length < count) throw this.#missing(wish, suitable.length, count);
    const shared = wish.shared ?? false;
    const free = suitable.filter(({ id }) => this.#isFree(id, name, shared));
    if (free.length < count) throw this.#busy(suitable);
    // Those that fewest share come first.
    const users = ({ id }: GpuDevice) => this.#holders(id).length;
    const gpus = free.sort((a, b) => users(a) - users(b) || a.index - b.index).slice(0, count);
    return {
      spec: {
        ...spec,
        gpus: gpus.map(({ id, kind, devices, groups }) => ({ id, kind, devices, groups })),
      },
      release: this.#keep(
        name,
        gpus.map(({ id }) => id),
        shared,
      ),
    };
  }

  /** Takes the GPUs of a stopped space again, until `release` is called: by then it runs. Throws `gpu_busy`. */
  again({ name, spec }: Pick<SpaceEntry, "name" | "spec">): () => void {
    const ids = spec.gpus?.map(({ id }) => id) ?? [];
    const shared = spec.gpuWish?.shared ?? false;
    const busy = ids.filter((id) => !this.#isFree(id, name, shared));
    if (busy.length > 0) throw this.#busy(busy.map((id) => ({ id })));
    return this.#keep(name, ids, shared);
  }

  #keep(name: string, ids: string[], shared: boolean): () => void {
    if (ids.length === 0) return () => {};
    const kept = { ids, shared };
    this.#pending.set(name, kept);
    return () => {
      if (this.#pending.get(name) === kept) this.#pending.delete(name);
    };
  }

  #isFree(id: string, name: string, shared: boolean): boolean {
    return this.#holders(id).every((holder) => holder.name === name || (shared && holder.shared));
  }

  #holders(id: string): { name: string; shared: boolean }[] {
    const holders = new Map<string, { name: string; shared: boolean }>();
    for (const { name, state, spec } of this.parts.known()) {
      const holds = state !== "stopped" && spec.gpus?.some((gpu) => gpu.id === id);
      if (holds) holders.set(name, { name, shared: spec.gpuWish?.shared ?? false });
    }
    for (const [name, { ids, shared }] of this.#pending) {
      if (ids.includes(id)) holders.set(name, { name, shared });
    }
    return [...holders.values()];
  }

  async #devices(): Promise<GpuDevice[]> {
    if (!this.#found || Date.now() - this.#found.at > KEPT_MS) {
      this.#found = { at: Date.now(), devices: this.parts.detect() };
    }
    return await this.#found.devices;
  }

  #missing({ kind, ids }: GpuWish, has: number, wanted: number): ClawdspaceError {
    const what = ids ? `GPU ${ids.join(", ")}` : kind ? `${kind} GPU` : "GPU";
    const short = has === 0 ? `no ${what}` : `${has} of the ${wanted} GPUs that are asked for`;
    const others = this.parts.elsewhere();
    const next =
      others.length > 0
        ? `These nodes have GPUs: ${others.join(", ")}. Name one as node, or say "auto".`
        : "Leave out gpu, or choose a template without it.";
    return new ClawdspaceError("insufficient_resources", `This node has ${short}. ${next}`, {
      issues: [{ path: "gpu", message: `this node has ${short}` }],
    });
  }

  #busy(gpus: Pick<GpuDevice, "id">[]): ClawdspaceError {
    const held = gpus.flatMap(({ id }) => {
      const names = this.#holders(id).map(({ name }) => name);
      return names.length > 0 ? [`${id} by ${names.join(" and ")}`] : [];
    });
    return new ClawdspaceError(
      "gpu_busy",
      `Not enough GPUs are free. Held are ${held.join(", ")}. Stop or remove one of those spaces, or let all of them share ({"shared": true}).`,
      { issues: held.map((message) => ({ path: "gpu", message })) },
    );
  }
}

const suits = (devices: GpuDevice[], { kind, ids }: GpuWish) =>
  devices.filter(
    (gpu) =>
      (kind === undefined || gpu.kind === kind) &&
      (ids === undefined || ids.includes(gpu.id) || ids.includes(`${gpu.index}`)),
  );
