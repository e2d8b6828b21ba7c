import type { Clawdspace } from "@clawdspace/client";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { answer, toAnswer } from "../answer.js";
import { defined } from "../defined.js";
import { describeResult } from "../for-models.js";
import { path, space } from "../schemas.js";

/** What of git needs a token that the space must not keep; the rest is run_command's. */
export function addGitTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "git_push",
    {
      title: "Push with a token",
      description:
        "Pushes a branch with a token that is stored nowhere in the space. Everything else of git is run with run_command.",
      inputSchema: {
        space,
        repoPath: path,
        remote: z.string().optional().describe('Default "origin"'),
        branch: z.string().optional().describe('Default "main"'),
        token: z.string(),
      },
      outputSchema: { exitCode: z.number(), stdout: z.string(), stderr: z.string() },
      annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
    },
    ({ space: name, repoPath, token, remote, branch }, { signal }) =>
      toAnswer(async () => {
        const request = { repoPath, token, ...defined({ remote, branch }) };
        const { exitCode, stdout, stderr } = await clawdspace
          .space(name)
          .git.push(request, { signal });
        const result = { exitCode, stdout, stderr };
        return { ...answer(describeResult(result), result), isError: exitCode !== 0 };
      }),
  );
}
