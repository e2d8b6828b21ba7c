import * as z from "zod";
import { CapabilitiesSchema } from "./system.js";

export const NodeNameSchema = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/, "may hold letters, digits, '.', '-' and '_' only");

/** Why a node is usable, or isn't. Only one that is "online" is used. */
export const NodeStateSchema = z.enum([
  "online",
  "offline",
  "wrong_key",
  "other_version",
  "not_clawdspace",
]);
export type NodeState = z.infer<typeof NodeStateSchema>;

export const GpuKindSchema = z.enum(["nvidia", "amd"]);
export type GpuKind = z.infer<typeof GpuKindSchema>;

export const GpuSchema = z
  .object({
    id: z.string().describe("As the driver names it: a UUID, or the index where there is none"),
    index: z.number().int(),
    kind: GpuKindSchema,
    name: z.string(),
    memory: z.number().describe("Bytes").optional(),
    usedBy: z.array(z.string()).describe("Spaces that hold it"),
  })
  .meta({ id: "Gpu" });
export type Gpu = z.infer<typeof GpuSchema>;

/** What a node has left, for placing spaces. */
export const NodeLoadSchema = z
  .object({
    memoryFree: z.number().describe("Bytes that no running space is promised"),
    cpusFree: z.number().describe("CPUs that no running space is promised; below 0 where shared"),
    disk: z
      .object({ total: z.number(), used: z.number(), free: z.number() })
      .optional()
      .describe("Bytes of the file system that the daemon keeps its data on"),
    spaces: z.number().int(),
    drained: z.boolean(),
    runtimes: z.array(z.string()),
    images: z.array(z.string()).describe("Of those that spaces are usually made from"),
    labels: z.record(z.string(), z.string()),
    gpus: z.array(GpuSchema),
  })
  .meta({ id: "NodeLoad" });
export type NodeLoad = z.infer<typeof NodeLoadSchema>;

export const NodeSchema = z
  .object({
    name: z.string(),
    url: z.string(),
    status: z.enum(["online", "offline"]),
    state: NodeStateSchema,
    self: z.boolean().describe("The node that answers"),
    reason: z.string().optional().describe("Why it isn't online"),
    version: z.string().optional(),
    latencyMs: z.number().nullable(),
    lastSeenAt: z.number().optional().describe("Milliseconds since 1970"),
    capabilities: CapabilitiesSchema.optional(),
    load: NodeLoadSchema.optional(),
  })
  .meta({ id: "Node" });
export type Node = z.infer<typeof NodeSchema>;

export const NodeListSchema = z.object({
  nodes: z.array(NodeSchema).describe("The node that answers comes first"),
  lastUpdatedAt: z.number().describe("Milliseconds since 1970; 0 before the first refresh"),
  problem: z.string().optional().describe("Why nodes could not be looked for"),
});
export type NodeList = z.infer<typeof NodeListSchema>;

export const NodeParamsSchema = z.object({ node: NodeNameSchema });
export const NodesQuerySchema = z.object({
  refresh: z.enum(["true", "false", "1", "0"]).optional().describe("Looks anew before it answers"),
});

/** The version of what nodes say to each other. */
export const PEER_PROTOCOL = 1;

const nonce = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be 32 bytes as base64url");
const proof = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be an HMAC-SHA-256 as base64url");

/** A node's first words to another: no secret, and nothing made from one. */
export const PeerHelloSchema = z.strictObject({
  protocol: z.number().int(),
  node: NodeNameSchema,
  nonce,
});

export const PeerHelloAnswerSchema = z.object({
  protocol: z.number().int(),
  version: z.string(),
  node: NodeNameSchema,
  instance: z.string().max(64).describe("Tells a run of a daemon from all others"),
  nonce,
  at: z.string().max(64).describe("The address at which the node was asked"),
  time: z.number().describe("Its clock, milliseconds since 1970"),
  proof: proof.describe("Shows that it knows the key"),
});
export type PeerHelloAnswer = z.infer<typeof PeerHelloAnswerSchema>;

export const PeerProofSchema = z.strictObject({ session: nonce, proof });

/** What a node tells of itself to one that knows the key. */
export const PeerStatusSchema = z.object({
  version: z.string(),
  node: z.string(),
  capabilities: CapabilitiesSchema,
  load: NodeLoadSchema,
  spaces: z.array(z.string()).describe("Names"),
});
export type PeerStatus = z.infer<typeof PeerStatusSchema>;
