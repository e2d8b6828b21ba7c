import type { Clawdspace } from "@clawdspace/client";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { createMcpServer } from "./server.js";

/** Serves MCP on this process's stdin and stdout, until stdin ends; nothing else may write to stdout. */
export async function serveStdio(clawdspace: Clawdspace, version: string): Promise<void> {
  const server = createMcpServer(clawdspace, version);
  const closed = new Promise<void>((resolve) => {
    server.server.onclose = resolve;
    process.stdin.once("end", resolve);
  });
  await server.connect(new StdioServerTransport());
  await closed;
  await server.close();
}
