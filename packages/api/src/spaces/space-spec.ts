import {
  ClawdspaceError,
  type CreateSpaceRequest,
  formatSize,
  GpuWishSchema,
  NetworkModeSchema,
  parseDuration,
  parseSize,
  type Template,
} from "@clawdspace/protocol";
import { z } from "zod";
import type { EngineInfo } from "../engine/engine.js";

/** Everything that decides how a space's container is made; kept as JSON in a label of that container. */
export const SpaceSpecSchema = z.object({
  image: z.string(),
  memoryBytes: z.number(),
  cpus: z.number(),
  gpu: z.boolean(),
  gpuWish: GpuWishSchema.optional(),
  /** Those that the container was made with. */
  gpus: z
    .array(
      z.object({
        id: z.string(),
        kind: z.enum(["nvidia", "amd"]),
        devices: z.array(z.string()),
        groups: z.array(z.number()),
      }),
    )
    .optional(),
  network: NetworkModeSchema,
  blockCidrs: z.array(z.string()).optional(),
  allowCidrs: z.array(z.string()).optional(),
  allowDomains: z.array(z.string()).optional(),
  /** The space's own address in the network of the spaces; none with network "none". */
  address: z.string().optional(),
  /** With a list of domains: the address of the gateway that stands between the space and them. */
  gateway: z.string().optional(),
  writableRootfs: z.boolean(),
  allowRoot: z.boolean(),
  /** Whether its container comes from the pool: then labels of its volume say what its own can't. */
  claimed: z.boolean().optional(),
  /** Whether the guest agent is its first process; otherwise commands run as execs of the engine. */
  guest: z.boolean(),
  /** The daemon's own where unset; an idle timeout of 0 is never. */
  sleep: z
    .object({ idleTimeoutMs: z.number().optional(), keepAwakeWhileBusy: z.boolean().optional() })
    .optional(),
  pids: z.number().optional(),
  /** Size of the workspace; unlimited where unset. */
  diskBytes: z.number().optional(),
  /** Sizes in bytes by path. */
  tmpfs: z.record(z.string(), z.number()).optional(),
  /** The engine's default where unset. */
  runtime: z.string().optional(),
  /** Name of a profile in the config folder; the engine's own where unset. */
  seccomp: z.string().optional(),
  template: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  description: z.string().optional(),
  idempotencyKey: z.string().optional(),
  /** The move between nodes that brought it here. */
  move: z.string().optional(),
});
export type SpaceSpec = z.infer<typeof SpaceSpecSchema>;

export interface SpecDefaults {
  image: string;
  gpuImage: string;
}

const DEFAULT_MEMORY_BYTES = 2 * 1024 ** 3;

/**
 * Settles what a space will be: the request wins over the template, the template over the defaults.
 * Throws `invalid_request` where the parts contradict each other.
 */
export function resolveSpec(
  request: CreateSpaceRequest,
  template: Template | undefined,
  defaults: SpecDefaults,
): SpaceSpec {
  const resources = template?.resources;
  const wish = request.gpu ?? resources?.gpu ?? false;
  const gpu = wish !== false;
  const network = template?.network?.mode ?? "internet";
  if (network === "none" && request.repoUrl) {
    throw new ClawdspaceError(
      "invalid_request",
      `Template "${template?.name}" gives a space no network, so repoUrl can't be cloned. Choose another template or leave repoUrl out.`,
      { issues: [{ path: "repoUrl", message: "needs a template with network" }] },
    );
  }
  const memory = request.memory ?? resources?.memory;
  const { blockCidrs, allowCidrs, allowDomains } = template?.network ?? {};
  const { runtime, seccomp } = template?.security ?? {};
  return {
    image: request.image ?? resources?.image ?? (gpu ? defaults.gpuImage : defaults.image),
    memoryBytes: (memory && parseSize(memory)) || DEFAULT_MEMORY_BYTES,
    cpus: request.cpus ?? resources?.cpus ?? 1,
    gpu,
    ...(typeof wish === "object" ? { gpuWish: wish } : {}),
    network,
    ...(network !== "none" && blockCidrs?.length ? { blockCidrs } : {}),
    ...(network !== "none" && allowCidrs?.length ? { allowCidrs } : {}),
    ...(network !== "none" && allowDomains ? { allowDomains } : {}),
    writableRootfs: template?.security?.writableRootfs ?? true,
    allowRoot: template?.security?.allowRoot ?? false,
    guest: true,
    ...(resources?.pids ? { pids: resources.pids } : {}),
    ...(resources?.disk ? { diskBytes: parseSize(resources.disk) } : {}),
    ...(resources?.tmpfs ? { tmpfs: toTmpfsBytes(resources.tmpfs) } : {}),
    ...(runtime ? { runtime } : {}),
    ...(seccomp && seccomp !== "default" ? { seccomp } : {}),
    ...(template?.sleep ? { sleep: toSleep(template.sleep) } : {}),
    ...(request.template ? { template: request.template } : {}),
    ...(request.labels ? { labels: request.labels } : {}),
    ...(request.description ? { description: request.description } : {}),
    ...(request.idempotencyKey ? { idempotencyKey: request.idempotencyKey } : {}),
  };
}

function toSleep({
  idleTimeout,
  keepAwakeWhileBusy,
}: NonNullable<Template["sleep"]>): SpaceSpec["sleep"] {
  const idleTimeoutMs = typeof idleTimeout === "string" ? parseDuration(idleTimeout) : idleTimeout;
  return {
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
    ...(keepAwakeWhileBusy === undefined ? {} : { keepAwakeWhileBusy }),
  };
}

function toTmpfsBytes(tmpfs: string | Record<string, string>): Record<string, number> {
  const sizes = typeof tmpfs === "string" ? { "/tmp": tmpfs } : tmpfs;
  return Object.fromEntries(
    Object.entries(sizes).map(([path, size]) => [path, parseSize(size) ?? 0]),
  );
}

/** Throws `insufficient_resources` where a space asks for more than the node has. */
export function checkFits(spec: SpaceSpec, node: EngineInfo): void {
  if (spec.memoryBytes > node.memoryBytes) {
    const has = formatSize(Math.floor(node.memoryBytes / 1024 ** 2) * 1024 ** 2);
    throw new ClawdspaceError(
      "insufficient_resources",
      `The space asks for ${formatSize(spec.memoryBytes)} of memory and this node has ${has}. Ask for less.`,
      { issues: [{ path: "memory", message: `the node has ${has}` }] },
    );
  }
  if (spec.cpus > node.cpus) {
    throw new ClawdspaceError(
      "insufficient_resources",
      `The space asks for ${spec.cpus} CPUs and this node has ${node.cpus}. Ask for fewer.`,
      { issues: [{ path: "cpus", message: `the node has ${node.cpus}` }] },
    );
  }
}
