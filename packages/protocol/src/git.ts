import * as z from "zod";
import { ErrorBodySchema } from "./errors.js";
import {
  cloneOptions,
  GitBranchSchema,
  GitTokenSchema,
  RepoUrlSchema,
  WorkspacePathSchema,
} from "./space.js";

const RepoPathSchema = WorkspacePathSchema.min(1).describe(
  'Rooted at /workspace: "/repo" is /workspace/repo',
);
const RemoteSchema = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/, "is no valid name of a git remote");
const token = GitTokenSchema.optional().describe("For this request alone; it is kept nowhere");
const line = (what: string) =>
  z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^\0\r\n<>]+$/, `is no valid ${what}`);

export const GitPushRequestSchema = z
  .strictObject({
    repoPath: RepoPathSchema,
    remote: RemoteSchema.default("origin"),
    branch: GitBranchSchema.default("main"),
    token: GitTokenSchema,
  })
  .meta({ id: "GitPushRequest" });
export type GitPushRequest = z.infer<typeof GitPushRequestSchema>;

export const GitCloneRequestSchema = z
  .strictObject({
    url: RepoUrlSchema,
    dest: z
      .string()
      .min(1)
      .max(4096)
      .refine((text) => !text.includes("\0"), "must not hold NUL characters")
      .default("repo")
      .describe("A folder below /workspace that is not there yet, or is empty"),
    branch: GitBranchSchema.optional(),
    ...cloneOptions,
    token,
  })
  .meta({ id: "GitCloneRequest" });
export type GitCloneRequest = z.infer<typeof GitCloneRequestSchema>;

export const GitPullRequestSchema = z
  .strictObject({
    repoPath: RepoPathSchema,
    remote: RemoteSchema.default("origin"),
    branch: GitBranchSchema.optional().describe("The remote's branch; the current one by default"),
    rebase: z
      .boolean()
      .default(false)
      .describe("Puts own commits on top; otherwise only a fast-forward is done"),
    token,
  })
  .meta({ id: "GitPullRequest" });
export type GitPullRequest = z.infer<typeof GitPullRequestSchema>;

export const GitCommitRequestSchema = z
  .strictObject({
    repoPath: RepoPathSchema,
    message: z
      .string()
      .min(1)
      .max(64 * 1024)
      .refine((text) => !text.includes("\0") && text.trim() !== "", "must be a text"),
    paths: z
      .array(z.string().min(1).max(4096))
      .min(1)
      .max(1000)
      .optional()
      .describe("Of the repository; without it everything that changed is committed"),
    staged: z.boolean().optional().describe("Commits what is staged already, and nothing else"),
    author: z
      .strictObject({ name: line("name"), email: line("email address") })
      .optional()
      .describe("And committer; git's own configuration by default"),
  })
  .refine((body) => !(body.paths && body.staged), {
    path: ["staged"],
    message: "give either paths or staged, not both",
  })
  .meta({ id: "GitCommitRequest" });
export type GitCommitRequest = z.infer<typeof GitCommitRequestSchema>;

export const GitCheckoutRequestSchema = z
  .strictObject({
    repoPath: RepoPathSchema,
    ref: GitBranchSchema.describe("A branch, a tag or a commit"),
    create: z.boolean().default(false).describe("Makes it as a new branch from where HEAD is"),
  })
  .meta({ id: "GitCheckoutRequest" });
export type GitCheckoutRequest = z.infer<typeof GitCheckoutRequestSchema>;

export const GitHeadSchema = z
  .object({
    repoPath: z.string(),
    branch: z.string().optional().describe("Absent where HEAD is at no branch"),
    head: z.string().optional().describe("The commit; absent before the first one"),
  })
  .meta({ id: "GitHead" });
export type GitHead = z.infer<typeof GitHeadSchema>;

/** One line of a clone that is followed as NDJSON: any number of "progress", then "done" or "error". */
export const GitCloneEventSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("progress"), message: z.string() }),
  z.object({ type: z.literal("done"), repository: GitHeadSchema }),
  ErrorBodySchema.extend({ type: z.literal("error") }),
]);
export type GitCloneEvent = z.infer<typeof GitCloneEventSchema>;
export const GitCloneAnswerSchema = z.object({ repository: GitHeadSchema });
export const GitPullAnswerSchema = z.object({
  repository: GitHeadSchema,
  updated: z.boolean().describe("Whether HEAD moved"),
});
export type GitPullAnswer = z.infer<typeof GitPullAnswerSchema>;

export const GitStatusQuerySchema = z.object({ repoPath: RepoPathSchema });

const CHANGES = [
  "unmodified",
  "modified",
  "type_changed",
  "added",
  "deleted",
  "renamed",
  "copied",
  "unmerged",
  "untracked",
] as const;
export type GitChange = (typeof CHANGES)[number];

export const GitStatusSchema = GitHeadSchema.extend({
  upstream: z.string().optional(),
  ahead: z.number().int().optional().describe("Commits that the upstream lacks"),
  behind: z.number().int().optional().describe("Commits of the upstream that are missing here"),
  clean: z.boolean(),
  files: z
    .array(
      z.object({
        path: z.string(),
        from: z.string().optional().describe("Where a renamed or copied file was"),
        index: z.enum(CHANGES).describe("What is staged"),
        workTree: z.enum(CHANGES).describe("What is not"),
      }),
    )
    .describe("At most 10,000"),
  truncated: z.boolean().optional().describe("Whether there are more files"),
}).meta({ id: "GitStatus" });
export type GitStatus = z.infer<typeof GitStatusSchema>;
