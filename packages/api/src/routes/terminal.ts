import {
  MessageSchema,
  SpaceParamsSchema,
  TerminalListSchema,
  TerminalQuerySchema,
  TerminalSessionNameSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { logError, toClawdspaceError } from "../http/errors.js";
import { serveTerminal } from "../http/terminal-socket.js";
import type { Services } from "../services.js";

export const terminalRoutes =
  ({ spaces, terminals }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = SpaceParamsSchema;

    app.get(
      "/:name/terminal",
      {
        websocket: true,
        schema: { params, querystring: TerminalQuerySchema },
        // Before the upgrade, where an error still is an answer that a client can read.
        preHandler: async (request) => {
          await spaces.find(request.params.name);
        },
      },
      async (socket, request) => {
        const opening = terminals.open(request.params.name, request.query);
        await serveTerminal(socket, opening, {
          acknowledges: request.query.ack === true,
          onError: (error) => logError(request, toClawdspaceError(error), error),
        });
      },
    );

    app.get(
      "/:name/terminals",
      { schema: { params, response: { 200: TerminalListSchema } } },
      async (request) => ({ terminals: await terminals.list(request.params.name) }),
    );

    app.delete(
      "/:name/terminals/:session",
      {
        schema: {
          params: params.extend({ session: TerminalSessionNameSchema }),
          response: { 200: MessageSchema },
        },
      },
      async (request) => {
        const { name, session } = request.params;
        await terminals.end(name, session);
        return { message: `Terminal session "${session}" ended` };
      },
    );
  };
