import type { Clawdspace } from "@clawdspace/client";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { answer, toAnswer } from "../answer.js";
import { doneShape, path, space } from "../schemas.js";

/** Files and folders as wholes: made, moved, copied, removed. */
export function addArrangingTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "create_directory",
    {
      title: "Create directory",
      description: "Makes a folder, with its parents.",
      inputSchema: { space, path },
      outputSchema: doneShape,
      annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true },
    },
    ({ space: name, path: folder }) =>
      toAnswer(async () => {
        const { message } = await clawdspace.space(name).files.mkdir(folder);
        return answer(message, { message });
      }),
  );

  server.registerTool(
    "move_file",
    {
      title: "Move file",
      description:
        "Moves or renames a file or folder. What is at the target stays, unless overwrite.",
      inputSchema: { space, from: path, to: path, overwrite: z.boolean().optional() },
      outputSchema: doneShape,
      annotations: { readOnlyHint: false, destructiveHint: true },
    },
    ({ space: name, from, to, overwrite = false }) =>
      toAnswer(async () => {
        const { message } = await clawdspace.space(name).files.move(from, to, { overwrite });
        return answer(message, { message });
      }),
  );

  server.registerTool(
    "copy_file",
    {
      title: "Copy file",
      description:
        "Copies a file, or with recursive a folder. What is at the target stays, unless overwrite.",
      inputSchema: {
        ...{ space, from: path, to: path },
        overwrite: z.boolean().optional(),
        recursive: z.boolean().optional(),
      },
      outputSchema: doneShape,
      annotations: { readOnlyHint: false, destructiveHint: true },
    },
    ({ space: name, from, to, overwrite = false, recursive = false }) =>
      toAnswer(async () => {
        const options = { overwrite, recursive };
        const { message } = await clawdspace.space(name).files.copy(from, to, options);
        return answer(message, { message });
      }),
  );

  server.registerTool(
    "delete_file",
    {
      title: "Delete file",
      description: "Removes a file, or with recursive a folder and all that is in it.",
      inputSchema: { space, path, recursive: z.boolean().optional() },
      outputSchema: doneShape,
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
    },
    ({ space: name, path: file, recursive = false }) =>
      toAnswer(async () => {
        const { message } = await clawdspace.space(name).files.remove(file, { recursive });
        return answer(message, { message });
      }),
  );
}
