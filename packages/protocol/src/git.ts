import { z } from "zod";
import { GitBranchSchema, WorkspacePathSchema } from "./space.js";

export const GitPushRequestSchema = z
  .strictObject({
    repoPath: WorkspacePathSchema.min(1).describe(
      'Rooted at /workspace: "/repo" is /workspace/repo',
    ),
    remote: z
      .string()
      .max(255)
      .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/, "is no valid name of a git remote")
      .default("origin"),
    branch: GitBranchSchema.default("main"),
    token: z
      .string()
      .min(1)
      .max(4096)
      .regex(/^[\x21-\x7e]+$/, "holds characters that no token has"),
  })
  .meta({ id: "GitPushRequest" });
export type GitPushRequest = z.infer<typeof GitPushRequestSchema>;
