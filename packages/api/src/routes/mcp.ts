import { ClawdspaceError } from "@clawdspace/protocol";
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { secretOf } from "../http/auth.js";
import { type McpCaller, McpSessions } from "../http/mcp-sessions.js";

/** The Model Context Protocol over streamable HTTP. */
export const mcpRoutes =
  ({ authDisabled }: { authDisabled: boolean }): FastifyPluginAsync =>
  async (app) => {
    const sessions = new McpSessions();
    app.addHook("preClose", async () => sessions.close());

    const handle = async (request: FastifyRequest, reply: FastifyReply) => {
      const caller = callerOf(request, authDisabled);
      const id = request.headers["mcp-session-id"];
      const transport =
        typeof id === "string" ? sessions.find(id, caller) : await sessions.begin(caller);
      reply.hijack();
      await transport.handleRequest(request.raw, reply.raw, request.body);
    };
    const schema = { hide: true };
    app.post("/", { schema }, handle);
    app.get("/", { schema, exposeHeadRoute: false }, handle);
    app.delete("/", { schema }, handle);
  };

/** Throws `unauthorized` for one who has only a browser's session: tools act by a key of their own. */
function callerOf(request: FastifyRequest, authDisabled: boolean): McpCaller {
  const { localAddress = "127.0.0.1", localPort } = request.raw.socket;
  const host = localAddress.includes(":") ? `[${localAddress}]` : localAddress;
  const key = secretOf(request);
  if (key === undefined && !authDisabled) {
    throw new ClawdspaceError(
      "unauthorized",
      "MCP needs an API key: send Authorization: Bearer KEY.",
    );
  }
  return { baseUrl: `http://${host}:${localPort}`, key };
}
