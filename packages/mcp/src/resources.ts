import type { Clawdspace } from "@clawdspace/client";
import { type McpServer, ResourceTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
import { asText, imageType } from "./for-models.js";

const MAX_LISTED = 500;
const MAX_BYTES = 2_000_000;

/** The files of workspaces as resources: clawdspace://SPACE/path/below/workspace. */
export function addWorkspaceFiles(server: McpServer, clawdspace: Clawdspace): void {
  const template = new ResourceTemplate("clawdspace://{space}/{+path}", {
    list: async () => ({ resources: await listed(clawdspace) }),
    complete: {
      space: async (begun) => {
        const spaces = await clawdspace.spaces.list();
        return spaces.map(({ name }) => name).filter((name) => name.startsWith(begun));
      },
    },
  });
  server.registerResource(
    "workspace-file",
    template,
    { title: "Workspace file", description: "A file below /workspace of a space." },
    async (uri, { space, path }) => {
      const file = `/${decodeURIComponent(`${path}`)}`;
      const { size, pieces } = await clawdspace.space(`${space}`).files.stream(file);
      if (size !== undefined && size > MAX_BYTES) {
        throw new Error(`${file} has ${size} bytes; at most ${MAX_BYTES} are read as a resource.`);
      }
      const chunks: Uint8Array[] = [];
      for await (const piece of pieces) chunks.push(piece);
      const bytes = Buffer.concat(chunks);
      const text = asText(bytes);
      const mimeType = imageType(bytes) ?? (text === undefined ? BINARY : "text/plain");
      const { href } = uri;
      return {
        contents: [
          text === undefined
            ? { uri: href, mimeType, blob: bytes.toString("base64") }
            : { uri: href, mimeType, text },
        ],
      };
    },
  );
}

const BINARY = "application/octet-stream";

/** The files at the top of each workspace; deeper ones are read by their URI. */
async function listed(clawdspace: Clawdspace) {
  const resources: { uri: string; name: string; size: number }[] = [];
  for (const { name } of await clawdspace.spaces.list()) {
    const { entries } = await clawdspace.space(name).files.list("/", { limit: MAX_LISTED });
    for (const { path, type, size } of entries) {
      if (type !== "file") continue;
      const uri = `clawdspace://${name}${path.split("/").map(encodeURIComponent).join("/")}`;
      resources.push({ uri, name: `${name}${path}`, size });
      if (resources.length === MAX_LISTED) return resources;
    }
  }
  return resources;
}
