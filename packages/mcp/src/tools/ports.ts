import type { Clawdspace } from "@clawdspace/client";
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import * as z from "zod";
import { answer, data, toAnswer } from "../answer.js";
import { defined } from "../defined.js";
import { space } from "../schemas.js";

const port = z.number().int().min(1).max(65535);

/** What listens in a space. */
export function addPortTools(server: McpServer, clawdspace: Clawdspace): void {
  server.registerTool(
    "list_ports",
    {
      title: "List ports",
      description: "Lists the TCP ports on which something listens in a space.",
      inputSchema: { space },
      outputSchema: {
        ports: z.array(
          z.object({ port: z.number(), address: z.string(), command: z.string().optional() }),
        ),
      },
      annotations: { readOnlyHint: true },
    },
    ({ space: name }) =>
      toAnswer(async () => {
        const { ports } = await clawdspace.space(name).ports.list();
        return data({
          ports: ports.map(({ port: number, address, command }) => ({
            ...{ port: number, address },
            ...defined({ command }),
          })),
        });
      }),
  );

  server.registerTool(
    "wait_for_port",
    {
      title: "Wait for port",
      description: "Waits until something listens on a TCP port of a space.",
      inputSchema: { space, port, timeoutMs: z.number().int().min(0).max(600_000).optional() },
      outputSchema: { port: z.number(), waitedMs: z.number() },
      annotations: { readOnlyHint: true },
    },
    ({ space: name, port: number, timeoutMs }, { signal }) =>
      toAnswer(async () => {
        const options = { signal, ...defined({ timeoutMs }) };
        const ready = await clawdspace.space(name).ports.wait(number, options);
        return answer(`Port ${ready.port} answers.`, { ...ready });
      }),
  );

  server.registerTool(
    "get_preview_link",
    {
      title: "Get preview link",
      description:
        "Makes a link by which a person's browser reaches a web server in a space, without a key, until it expires.",
      inputSchema: {
        space,
        port,
        expiresInSeconds: z.number().int().min(1).optional().describe("Default 3,600"),
      },
      outputSchema: { url: z.string(), expiresAt: z.string() },
      annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
    },
    ({ space: name, port: number, expiresInSeconds }) =>
      toAnswer(async () => {
        const options = defined({ expiresInSeconds });
        const { url, expiresAt } = await clawdspace.space(name).ports.link(number, options);
        return answer(url, { url, expiresAt });
      }),
  );
}
