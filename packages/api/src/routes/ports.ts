import type { Duplex } from "node:stream";
import {
  DEFAULT_PORT_WAIT_MS,
  PortListSchema,
  PortParamsSchema,
  PortReadySchema,
  PreviewLinkRequestSchema,
  PreviewLinkSchema,
  SpaceParamsSchema,
  TunnelQuerySchema,
  WaitForPortRequestSchema,
} from "@clawdspace/protocol";
import type { FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { disconnectSignal } from "../http/disconnect.js";
import { tunnel } from "../ports/tunnel.js";
import type { Services } from "../services.js";

export const portRoutes =
  ({ ports, previews }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = PortParamsSchema;

    app.get(
      "/:name/ports",
      {
        schema: {
          params: SpaceParamsSchema,
          response: { 200: PortListSchema },
        },
      },
      (request) => ports.list(request.params.name),
    );

    app.post(
      "/:name/ports/:port/wait",
      {
        schema: {
          params,
          body: WaitForPortRequestSchema.nullish(),
          response: { 200: PortReadySchema },
        },
      },
      (request, reply) => {
        const { name, port } = request.params;
        const timeoutMs = request.body?.timeoutMs ?? DEFAULT_PORT_WAIT_MS;
        return ports.wait(name, port, timeoutMs, disconnectSignal(reply));
      },
    );

    app.post(
      "/:name/ports/:port/link",
      {
        schema: {
          params,
          body: PreviewLinkRequestSchema.nullish(),
          response: { 200: PreviewLinkSchema },
        },
      },
      (request) => {
        const { name, port } = request.params;
        return previews.link(name, port, request.body ?? {}, reachedAt(request));
      },
    );

    // The connection is made before the handshake, so that a failure is an ordinary answer.
    const connections = new WeakMap<FastifyRequest["raw"], Duplex>();
    app.get(
      "/:name/ports/:port/tcp",
      {
        websocket: true,
        schema: { params, querystring: TunnelQuerySchema },
        preHandler: async (request, reply) => {
          if (!request.ws) return;
          const { name, port } = PortParamsSchema.parse({
            ...(request.params as object),
            port: `${(request.params as { port: number }).port}`,
          });
          const connection = await ports.connect(name, port, disconnectSignal(reply));
          request.raw.socket.once("close", () => connection.destroy());
          connections.set(request.raw, connection);
        },
      },
      (socket, request) => {
        const connection = connections.get(request.raw);
        if (!connection) return socket.terminate();
        tunnel(socket, connection, { halfClose: isTrue(request.query.halfClose) });
      },
    );
  };

const isTrue = (flag: string | undefined) => flag === "true" || flag === "1";

/** How the one who asks reached this daemon, perhaps through a proxy that speaks TLS. */
function reachedAt(request: FastifyRequest): { protocol: string; host: string } {
  const secure = request.headers["x-forwarded-proto"] === "https";
  return { protocol: secure ? "https" : request.protocol, host: request.headers.host ?? "" };
}
