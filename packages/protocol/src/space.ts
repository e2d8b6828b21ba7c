import * as z from "zod";
import { ErrorBodySchema } from "./errors.js";
import { SpaceSecuritySchema } from "./security.js";
import { sizeSchema } from "./size.js";

export const MIN_MEMORY_BYTES = 16 * 1024 ** 2;

export const SpaceNameSchema = z
  .string()
  .min(1)
  .max(63, "must be at most 63 characters")
  .regex(/^[a-zA-Z0-9_-]+$/, "may hold letters, digits, '-' and '_' only");

const noNul = (what: string) =>
  z.string().refine((text) => !text.includes("\0"), `${what} must not hold NUL characters`);

export const EnvSchema = z
  .record(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is no valid name of an environment variable"),
    noNul("a value").max(128 * 1024),
  )
  .refine((env) => Object.keys(env).length <= 1000, "must hold at most 1000 variables");

/** A path below /workspace as the file routes take it: "/a.txt" is /workspace/a.txt. */
export const WorkspacePathSchema = noNul("a path").max(4096);

const HOST = /[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?/.source;
const COMPONENT = /[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*/.source;
const TAG = /\w[\w.-]{0,127}/.source;
const DIGEST = /[a-zA-Z0-9+._-]+:[0-9a-fA-F]{32,}/.source;

/** An image as Docker's reference grammar has it: [HOST[:PORT]/]NAME[/NAME…][:TAG][@DIGEST], or an id. */
export const ImageReferenceSchema = z
  .string()
  .max(512)
  .regex(
    new RegExp(`^(?:${HOST}/)?${COMPONENT}(?:/${COMPONENT})*(?::${TAG})?(?:@${DIGEST})?$`),
    "is no valid image reference",
  );

/** A credential for one request; it is never kept. */
export const GitTokenSchema = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^[\x21-\x7e]+$/, "holds characters that no token has");

const GIT_REF = /^(?!-)(?!.*\.\.)[^\s~^:?*[\\\x00-\x20\x7f]+$/;
export const GitBranchSchema = z
  .string()
  .min(1)
  .max(255)
  .regex(GIT_REF, "is no valid name of a git branch");

export const RepoUrlSchema = z
  .string()
  .max(2048)
  .regex(
    /^(https:\/\/[^\s/]+\/\S+|[A-Za-z0-9._-]+@[A-Za-z0-9][A-Za-z0-9.-]*:[^\s-]\S*)$/,
    "must be https://… or user@host:path",
  );

/** How a repository is cloned; the fields of a create begin with "repo". */
export const cloneOptions = {
  depth: z
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe("Shallow: so many commits of one branch"),
  submodules: z.boolean().optional().describe("With the repository's submodules (default false)"),
  lfs: z
    .boolean()
    .optional()
    .describe("With the files kept in Git LFS, where the image has it (default true)"),
};
const CLONE_FIELDS = [
  "repoBranch",
  "repoDest",
  "repoDepth",
  "repoSubmodules",
  "repoLfs",
  "gitToken",
] as const;

export const SpaceStatusSchema = z.enum(["running", "paused", "stopped"]);
export type SpaceStatus = z.infer<typeof SpaceStatusSchema>;

export const LabelsSchema = z
  .record(
    z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,62}$/, "is no valid label name"),
    z.string().max(256),
  )
  .refine((labels) => Object.keys(labels).length <= 64, "must hold at most 64 labels");

export const SpaceSchema = z
  .object({
    name: z.string(),
    id: z.string().describe("The first 12 hex digits of the container's id"),
    status: SpaceStatusSchema,
    created: z.iso.datetime(),
    started: z.iso.datetime().nullable(),
    image: z.string(),
    memory: z.number().describe("Memory limit in bytes"),
    cpus: z.number(),
    lastActivity: z.iso.datetime(),
    sleepsAt: z.iso
      .datetime()
      .optional()
      .describe("When it is put to sleep unless it is used or works before"),
    volume: z.object({ name: z.string(), mountpoint: z.literal("/workspace") }).optional(),
    template: z.string().optional(),
    description: z.string().optional(),
    labels: LabelsSchema.optional(),
    gpu: z.boolean().optional(),
    gpus: z
      .array(z.string())
      .optional()
      .describe("Ids of those that it holds while it isn't stopped"),
    node: z.string().optional().describe("Where it is; told where several nodes were asked"),
    security: SpaceSecuritySchema.optional().describe("What confines it; told of one space only"),
  })
  .meta({ id: "Space" });
export type Space = z.infer<typeof SpaceSchema>;

export const GpuWishSchema = z
  .strictObject({
    count: z.number().int().min(1).max(64).optional(),
    ids: z
      .array(z.string().min(1).max(64))
      .min(1)
      .max(64)
      .optional()
      .describe("As GET /api/nodes tells them, or their indexes"),
    kind: z.enum(["nvidia", "amd"]).optional(),
    shared: z.boolean().optional().describe("With other spaces that say so too"),
  })
  .refine(({ count, ids }) => count === undefined || ids === undefined, {
    path: ["count"],
    message: "goes without ids, which say how many",
  });
export type GpuWish = z.infer<typeof GpuWishSchema>;

export const PlacementNeedsSchema = z.strictObject({
  arch: z.string().min(1).max(32).optional().describe('As GET /api/nodes tells it: "x64", "arm64"'),
  labels: LabelsSchema.optional().describe("That the node has (CLAWDSPACE_NODE_LABELS)"),
});
export type PlacementNeeds = z.infer<typeof PlacementNeedsSchema>;

export const PlacementSchema = z
  .object({
    node: z.string(),
    considered: z
      .array(
        z.object({
          node: z.string(),
          score: z.number().optional().describe("From 0 to 1; the highest was tried first"),
          passedOver: z.string().optional().describe("Why it would not do"),
        }),
      )
      .describe('Every node, where the request says "auto"'),
  })
  .meta({ id: "Placement" });
export type Placement = z.infer<typeof PlacementSchema>;

export const CreateSpaceRequestSchema = z
  .strictObject({
    name: SpaceNameSchema,
    memory: sizeSchema(MIN_MEMORY_BYTES)
      .optional()
      .describe('Memory limit, such as "2g" or "512m"'),
    cpus: z.number().min(0.01).max(4096).optional(),
    gpu: z.union([z.boolean(), GpuWishSchema]).optional().describe("true is one of any kind"),
    image: ImageReferenceSchema.optional(),
    template: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[a-zA-Z0-9_-]+$/)
      .optional(),
    env: EnvSchema.optional(),
    envFileText: noNul("envFileText")
      .max(1024 ** 2)
      .optional(),
    envFileBase64: z
      .base64()
      .max(2 * 1024 ** 2)
      .optional(),
    envFilePath: WorkspacePathSchema.regex(
      /^\/workspace\/[^/]/,
      "must be a file below /workspace",
    ).optional(),
    repoUrl: RepoUrlSchema.optional(),
    repoBranch: GitBranchSchema.optional(),
    repoDest: noNul("repoDest").min(1).max(255).optional(),
    repoDepth: cloneOptions.depth,
    repoSubmodules: cloneOptions.submodules,
    repoLfs: cloneOptions.lfs,
    gitToken: GitTokenSchema.optional().describe(
      "For the clone alone; it is kept nowhere. Without it env.GITHUB_TOKEN, or the node's own gh, serves for GitHub",
    ),
    keepOnError: z
      .boolean()
      .optional()
      .describe(
        "Keeps the space where its clone or set-up fails; the create is answered with the error all the same",
      ),
    labels: LabelsSchema.optional(),
    description: z.string().max(1000).optional(),
    node: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/)
      .optional()
      .describe('A node\'s name, or "auto" for the best one; this node where unset'),
    placement: PlacementNeedsSchema.optional().describe('What "auto" must look for besides'),
    idempotencyKey: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .describe("A repeated create with the same key and name answers with the space made first"),
    wait: z
      .boolean()
      .optional()
      .describe(
        "false: refuse an image that is not on the node instead of pulling it (default true)",
      ),
  })
  .refine((body) => !(body.envFileText !== undefined && body.envFileBase64 !== undefined), {
    path: ["envFileBase64"],
    message: "give either envFileText or envFileBase64, not both",
  })
  .superRefine((body, context) => {
    if (body.repoUrl !== undefined) return;
    for (const key of CLONE_FIELDS) {
      if (body[key] === undefined) continue;
      context.addIssue({ code: "custom", path: ["repoUrl"], message: `is needed with ${key}` });
    }
  })
  .meta({ id: "CreateSpaceRequest" });
export type CreateSpaceRequest = z.infer<typeof CreateSpaceRequestSchema>;

export const MoveSpaceRequestSchema = z
  .strictObject({
    node: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/)
      .describe("The node that is to have the space"),
  })
  .meta({ id: "MoveSpaceRequest" });
export type MoveSpaceRequest = z.infer<typeof MoveSpaceRequestSchema>;

/** One line of a create, or of a move, that is followed as NDJSON: any number of "progress", then "space" or "error". */
export const CreateSpaceEventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("progress"),
    step: z.enum(["image", "container", "env", "clone", "setup", "copy"]),
    message: z.string(),
    current: z.number().optional().describe("Bytes done"),
    total: z.number().optional().describe("Bytes in all"),
  }),
  z.object({ type: z.literal("space"), space: SpaceSchema }),
  ErrorBodySchema.extend({ type: z.literal("error") }),
]);
export type CreateSpaceEvent = z.infer<typeof CreateSpaceEventSchema>;

export const SpaceParamsSchema = z.object({ name: SpaceNameSchema });
export const SpaceListSchema = z.object({
  spaces: z.array(SpaceSchema),
  errors: z
    .array(ErrorBodySchema.extend({ node: z.string() }))
    .optional()
    .describe("With node=all: nodes whose spaces are missing here, and why"),
});
export type SpaceList = z.infer<typeof SpaceListSchema>;
export const SpaceListQuerySchema = z.object({
  node: z.string().max(63).optional().describe('A node\'s name, or "all"; this node where unset'),
});
export const SpaceAnswerSchema = z.object({
  space: SpaceSchema,
  placement: PlacementSchema.optional().describe('Where the request names a node or says "auto"'),
});
export const MessageSchema = z.object({ message: z.string() }).meta({ id: "Message" });

export const RemoveSpaceQuerySchema = z.object({
  removeVolume: z.enum(["true", "false", "1", "0"]).optional(),
});

export const SpaceStatsSchema = z
  .object({
    cpuPercent: z.number(),
    memoryUsageBytes: z.number(),
    memoryLimitBytes: z.number(),
    pids: z.number(),
    networkRxBytes: z.number(),
    networkTxBytes: z.number(),
    blockReadBytes: z.number(),
    blockWriteBytes: z.number(),
  })
  .meta({ id: "SpaceStats" });
export type SpaceStats = z.infer<typeof SpaceStatsSchema>;

export const ObservabilitySchema = z.object({
  stats: SpaceStatsSchema,
  workspaceDisk: z
    .object({
      path: z.string(),
      totalBytes: z.number(),
      usedBytes: z.number(),
      availBytes: z.number(),
      usedPercent: z.number(),
    })
    .optional(),
  workspaceSizeBytes: z.number().optional(),
  top: z
    .array(
      z.object({
        pid: z.number(),
        cpu: z.number().describe("Percent of one CPU over the process's life"),
        mem: z.number().describe("Percent of the space's memory limit"),
        etime: z.string(),
        command: z.string(),
      }),
    )
    .optional(),
  bashHistoryTail: z.string().optional(),
});
export type Observability = z.infer<typeof ObservabilitySchema>;
