import type { Clawdspace } from "@clawdspace/client";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { answer, toAnswer } from "../answer.js";
import { describeResult } from "../for-models.js";
import { progressOf } from "../progress.js";
import { command, cwd, env, space } from "../schemas.js";

const MAX_OUTPUT_BYTES = 1024 ** 2;

/** Running a command and waiting for its end. */
export function addCommandTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "run_command",
    {
      title: "Run command",
      description:
        "Runs a command in a space and waits for its end. Cancelling the call kills the command and everything it started. For servers and other long-running programs use start_process.",
      inputSchema: {
        space,
        command,
        cwd,
        env,
        stdin: z.string().optional(),
        timeoutMs: z.number().int().min(1).optional().describe("Then the command is killed"),
      },
      outputSchema: {
        exitCode: z.number(),
        stdout: z.string(),
        stderr: z.string(),
        timedOut: z.boolean().optional(),
        stdoutTruncatedBytes: z.number().optional(),
        stderrTruncatedBytes: z.number().optional(),
      },
      annotations: { readOnlyHint: false, destructiveHint: true, openWorldHint: true },
    },
    ({ space: name, command: what, ...options }, extra) =>
      toAnswer(async () => {
        const progress = progressOf(extra);
        const running = clawdspace.space(name).exec(what, {
          ...options,
          maxOutputBytes: MAX_OUTPUT_BYTES,
          signal: extra.signal,
        });
        for await (const event of running) {
          if (event.type === "stdout" || event.type === "stderr") progress(event.data);
        }
        const result = await running.wait();
        return answer(describeResult(result), { ...result });
      }),
  );
}
