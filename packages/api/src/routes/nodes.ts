import {
  MessageSchema,
  NodeListSchema,
  NodeParamsSchema,
  NodesQuerySchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { Services } from "../services.js";

const CHANGE_MS = 10_000;

export const nodeRoutes =
  ({ fleet, drain }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      "/",
      { schema: { querystring: NodesQuerySchema, response: { 200: NodeListSchema } } },
      async (request, reply) => {
        if (["true", "1"].includes(request.query.refresh ?? "")) await fleet.refresh();
        return await reply.type("application/json; charset=utf-8").send(fleet.text() as never);
      },
    );

    for (const change of ["drain", "undrain"] as const) {
      app.post(
        `/:node/${change}`,
        { schema: { params: NodeParamsSchema, response: { 200: MessageSchema } } },
        async ({ params: { node }, peer: passedOn, actor, ip }) => {
          // What another node passes on is meant for this one, whatever the others call it.
          const peer = passedOn ? undefined : fleet.peer(node);
          if (!peer) {
            await drain.set(change === "drain");
            await fleet.refreshOwn();
          } else {
            const path = `/api/nodes/${node}/${change}`;
            const request = { method: "POST", path, actor, from: ip, header: true };
            const signal = AbortSignal.timeout(CHANGE_MS);
            await peer.link.json(MessageSchema, request, signal);
            await fleet.probe(peer);
          }
          const does =
            change === "drain" ? "is given no new spaces; those it has go on" : "takes new spaces";
          return { message: `Node "${node}" ${does}` };
        },
      );
    }
  };
