import type { Clawdspace } from "@clawdspace/client";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { addWorkspaceFiles } from "./resources.js";
import { addArrangingTools } from "./tools/arranging.js";
import { addCommandTools } from "./tools/commands.js";
import { addFileTools } from "./tools/files.js";
import { addGitTools } from "./tools/git.js";
import { addPortTools } from "./tools/ports.js";
import { addProcessTools } from "./tools/processes.js";
import { addNodeTools, addSpaceTools } from "./tools/spaces.js";

const INSTRUCTIONS = `Spaces are isolated Linux containers with a persistent /workspace. Commands run as an unprivileged user
in /workspace; file paths are rooted there ("/a.txt" is /workspace/a.txt). A space that sleeps wakes by itself when it is used.
Long-running programs, such as servers, belong into start_process; wait_for_port tells when they answer.`;

/**
 * An MCP server over one Clawdspace daemon, with the rights of the client's key; connect it to a transport.
 * @param version of the product, as clients are told
 */
export function createMcpServer(clawdspace: Clawdspace, version: string): McpServer {
  const server = new McpServer(
    { name: "clawdspace", title: "Clawdspace", version },
    { instructions: INSTRUCTIONS },
  );
  addSpaceTools(server, clawdspace);
  addNodeTools(server, clawdspace);
  addCommandTools(server, clawdspace);
  addProcessTools(server, clawdspace);
  addFileTools(server, clawdspace);
  addArrangingTools(server, clawdspace);
  addPortTools(server, clawdspace);
  addGitTools(server, clawdspace);
  addWorkspaceFiles(server, clawdspace);
  return server;
}
