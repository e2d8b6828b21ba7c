import { type Clawdspace, ClawdspaceError } from "@clawdspace/client";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { answer, data, toAnswer } from "../answer.js";
import { defined } from "../defined.js";
import { editText } from "../edit.js";
import { asText, cutMiddle, imageType } from "../for-models.js";
import { path, space } from "../schemas.js";

const MAX_READ_BYTES = 2_000_000;

const entryShape = { path: z.string(), type: z.string(), size: z.number() };

/** Files below /workspace. */
export function addFileTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "read_file",
    {
      title: "Read file",
      description:
        "Reads a text file, or an image to look at. Of a long text lines can be chosen; what is too long for one answer loses its middle.",
      inputSchema: {
        space,
        path,
        offset: z.number().int().min(1).optional().describe("The first line wanted, from 1"),
        limit: z.number().int().min(1).optional().describe("So many lines"),
      },
      annotations: { readOnlyHint: true },
    },
    ({ space: name, path: file, offset, limit }, { signal }) =>
      toAnswer(async () => {
        const { bytes } = await read(clawdspace, name, file, signal);
        const mimeType = imageType(bytes);
        if (mimeType) {
          const image = Buffer.from(bytes).toString("base64");
          return { content: [{ type: "image", data: image, mimeType }] };
        }
        const text = cutMiddle(lines(textOf(bytes, file), offset, limit));
        return { content: [{ type: "text", text }] };
      }),
  );

  server.registerTool(
    "write_file",
    {
      title: "Write file",
      description:
        "Writes a text file whole, making its folders; a file that is there is replaced.",
      inputSchema: { space, path, content: z.string(), append: z.boolean().optional() },
      outputSchema: { path: z.string(), size: z.number() },
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true },
    },
    ({ space: name, path: file, content, append }, { signal }) =>
      toAnswer(async () => {
        const options = { signal, ...defined({ append }) };
        const written = await clawdspace.space(name).files.write(file, content, options);
        return answer(`${written.path} has ${written.size} bytes.`, {
          path: written.path,
          size: written.size,
        });
      }),
  );

  server.registerTool(
    "edit_file",
    {
      title: "Edit file",
      description:
        "Replaces texts in a file. Each oldText must occur exactly once, unless replaceAll is true. All edits are made, or none.",
      inputSchema: {
        space,
        path,
        edits: z.array(z.object({ oldText: z.string().min(1), newText: z.string() })).min(1),
        replaceAll: z.boolean().optional(),
      },
      outputSchema: { path: z.string(), size: z.number(), replacements: z.number() },
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false },
    },
    ({ space: name, path: file, edits, replaceAll = false }, { signal }) =>
      toAnswer(async () => {
        const { bytes, etag } = await read(clawdspace, name, file, signal);
        const { text, replacements } = editText(textOf(bytes, file), edits, replaceAll);
        // Whoever else wrote it meanwhile keeps what they wrote.
        const options = { signal, ...defined({ ifMatch: etag }) };
        const written = await clawdspace.space(name).files.write(file, text, options);
        return answer(`${replacements} replaced in ${written.path}.`, {
          path: written.path,
          size: written.size,
          replacements,
        });
      }),
  );

  server.registerTool(
    "list_directory",
    {
      title: "List directory",
      description: "Lists a folder of /workspace.",
      inputSchema: { space, path: path.optional(), cursor: z.string().optional() },
      outputSchema: {
        entries: z.array(z.object(entryShape)),
        nextCursor: z.string().optional(),
      },
      annotations: { readOnlyHint: true },
    },
    ({ space: name, path: folder = "/", cursor }, { signal }) =>
      toAnswer(async () => {
        const options = { signal, limit: 1000, ...defined({ cursor }) };
        const { entries, nextCursor } = await clawdspace.space(name).files.list(folder, options);
        return data({ entries: entries.map(toEntry), ...defined({ nextCursor }) });
      }),
  );

  server.registerTool(
    "search_files",
    {
      title: "Find files",
      description: 'Finds files by name, as in "*.ts" or "src/**/*.ts".',
      inputSchema: { space, glob: z.string(), path: path.optional() },
      outputSchema: { entries: z.array(z.object(entryShape)), truncated: z.boolean() },
      annotations: { readOnlyHint: true },
    },
    ({ space: name, glob, path: folder = "/" }, { signal }) =>
      toAnswer(async () => {
        const options = { path: folder, limit: 1000, signal };
        const found = await clawdspace.space(name).files.find(glob, options);
        return data({ entries: found.entries.map(toEntry), truncated: found.truncated });
      }),
  );

  server.registerTool(
    "search_content",
    {
      title: "Search in files",
      description: "Finds lines that match a regular expression in the files of a folder.",
      inputSchema: {
        space,
        pattern: z.string(),
        path: path.optional(),
        glob: z.string().optional().describe('Only files whose name matches, as in "*.ts"'),
        literal: z.boolean().optional(),
        ignoreCase: z.boolean().optional(),
      },
      outputSchema: {
        matches: z.array(z.object({ path: z.string(), line: z.number(), text: z.string() })),
        truncated: z.boolean(),
      },
      annotations: { readOnlyHint: true },
    },
    ({ space: name, pattern, path: folder = "/", ...options }, { signal }) =>
      toAnswer(async () => {
        const wanted = { ...defined(options), path: folder, limit: 200, signal };
        const { matches, truncated } = await clawdspace.space(name).files.grep(pattern, wanted);
        const found = matches.map(({ path: file, line, text }) => ({ path: file, line, text }));
        const text = found.map((each) => `${each.path}:${each.line}: ${each.text}`).join("\n");
        const shown = cutMiddle(text || "Nothing matches.");
        return answer(shown, { matches: found, truncated });
      }),
  );
}

const toEntry = ({ path: at, type, size }: { path: string; type: string; size: number }) => ({
  path: at,
  type,
  size,
});

async function read(clawdspace: Clawdspace, space: string, path: string, signal: AbortSignal) {
  const { files } = clawdspace.space(space);
  const { size, etag, pieces } = await files.stream(path, { signal });
  if (size !== undefined && size > MAX_READ_BYTES) {
    throw new ClawdspaceError(
      "too_large",
      `${path} has ${size} bytes, and ${MAX_READ_BYTES} is the most that is read at once. Take a part with run_command, as by head, tail or sed.`,
    );
  }
  const chunks: Uint8Array[] = [];
  for await (const piece of pieces) chunks.push(piece);
  return { bytes: Buffer.concat(chunks), etag };
}

function textOf(bytes: Uint8Array, path: string): string {
  const text = asText(bytes);
  if (text !== undefined) return text;
  throw new ClawdspaceError(
    "unsupported_media_type",
    `${path} is no text (${bytes.length} bytes of another kind). Look at it with run_command, as by file, xxd or a program that reads its format.`,
  );
}

function lines(text: string, offset = 1, limit?: number): string {
  if (offset === 1 && limit === undefined) return text;
  const end = limit === undefined ? undefined : offset - 1 + limit;
  return text
    .split("\n")
    .slice(offset - 1, end)
    .join("\n");
}
