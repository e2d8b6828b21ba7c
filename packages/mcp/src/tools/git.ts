import type { Clawdspace } from "@clawdspace/client";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { answer, data, toAnswer } from "../answer.js";
import { defined } from "../defined.js";
import { describeResult } from "../for-models.js";
import { progressOf } from "../progress.js";
import { path, space } from "../schemas.js";

const repoPath = path.describe('The repository\'s folder, rooted at /workspace: "/repo"');
const token = z.string().optional().describe("For this call alone; it is stored nowhere");
const remote = z.string().optional().describe('Default "origin"');
const headShape = {
  repoPath: z.string(),
  branch: z.string().optional(),
  head: z.string().optional().describe("The commit; absent before the first one"),
};
const changes = { readOnlyHint: false, destructiveHint: true } as const;

/** git with tokens that the space must not keep, and answers as data; the rest is run_command's. */
export function addGitTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "git_status",
    {
      title: "Repository status",
      description:
        "Tells a repository's branch, how far it is from its upstream, and what changed.",
      inputSchema: { space, repoPath },
      outputSchema: {
        ...headShape,
        upstream: z.string().optional(),
        ahead: z.number().optional(),
        behind: z.number().optional(),
        clean: z.boolean(),
        files: z.array(
          z.object({
            path: z.string(),
            from: z.string().optional(),
            index: z.string(),
            workTree: z.string(),
          }),
        ),
        truncated: z.boolean().optional(),
      },
      annotations: { readOnlyHint: true },
    },
    ({ space: name, repoPath: repository }, { signal }) =>
      toAnswer(async () =>
        data({ ...(await clawdspace.space(name).git.status(repository, { signal })) }),
      ),
  );

  server.registerTool(
    "git_clone",
    {
      title: "Clone repository",
      description: "Clones a repository into a folder of the workspace that is not there yet.",
      inputSchema: {
        space,
        url: z.string().describe("https://… or user@host:path"),
        dest: z.string().optional().describe('A folder below /workspace (default "repo")'),
        branch: z.string().optional(),
        depth: z.number().int().min(1).optional().describe("So many commits of one branch"),
        token,
      },
      outputSchema: headShape,
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
    },
    ({ space: name, url, ...options }, extra) =>
      toAnswer(async () => {
        const request = { url, ...defined(options) };
        const following = { signal: extra.signal, onProgress: progressOf(extra) };
        return data({ ...(await clawdspace.space(name).git.clone(request, following)) });
      }),
  );

  server.registerTool(
    "git_pull",
    {
      title: "Pull",
      description: "Brings in the remote's commits, by fast-forward or with own ones put on top.",
      inputSchema: {
        ...{ space, repoPath, remote, token },
        branch: z.string().optional(),
        rebase: z.boolean().optional().describe("Puts own commits on top"),
      },
      outputSchema: { ...headShape, updated: z.boolean() },
      annotations: { ...changes, openWorldHint: true },
    },
    ({ space: name, repoPath: repository, ...options }, { signal }) =>
      toAnswer(async () => {
        const request = { repoPath: repository, ...defined(options) };
        const pulled = await clawdspace.space(name).git.pull(request, { signal });
        return data({ ...pulled.repository, updated: pulled.updated });
      }),
  );

  server.registerTool(
    "git_commit",
    {
      title: "Commit",
      description: "Commits everything that changed, or the paths that are named.",
      inputSchema: {
        ...{ space, repoPath, message: z.string() },
        paths: z.array(z.string()).min(1).optional(),
      },
      outputSchema: headShape,
      annotations: { readOnlyHint: false, destructiveHint: false },
    },
    ({ space: name, repoPath: repository, message, paths }, { signal }) =>
      toAnswer(async () => {
        const request = { repoPath: repository, message, ...defined({ paths }) };
        return data({ ...(await clawdspace.space(name).git.commit(request, { signal })) });
      }),
  );

  server.registerTool(
    "git_checkout",
    {
      title: "Check out",
      description: "Moves to a branch, a tag or a commit, or to a new branch.",
      inputSchema: { space, repoPath, ref: z.string(), create: z.boolean().optional() },
      outputSchema: headShape,
      annotations: changes,
    },
    ({ space: name, repoPath: repository, ref, create = false }, { signal }) =>
      toAnswer(async () => {
        const request = { repoPath: repository, ref, create };
        return data({ ...(await clawdspace.space(name).git.checkout(request, { signal })) });
      }),
  );

  server.registerTool(
    "git_push",
    {
      title: "Push with a token",
      description: "Pushes a branch with a token that is stored nowhere in the space.",
      inputSchema: {
        ...{ space, repoPath, remote },
        branch: z.string().optional().describe('Default "main"'),
        token: z.string(),
      },
      outputSchema: { exitCode: z.number(), stdout: z.string(), stderr: z.string() },
      annotations: { ...changes, openWorldHint: true },
    },
    ({ space: name, repoPath: repository, token: secret, ...options }, { signal }) =>
      toAnswer(async () => {
        const request = { repoPath: repository, token: secret, ...defined(options) };
        const { exitCode, stdout, stderr } = await clawdspace
          .space(name)
          .git.push(request, { signal });
        const result = { exitCode, stdout, stderr };
        return { ...answer(describeResult(result), result), isError: exitCode !== 0 };
      }),
  );
}
