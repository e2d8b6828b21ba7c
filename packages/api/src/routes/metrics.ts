import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { Services } from "../services.js";

export const metricsRoutes =
  ({ metrics }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get("/", { schema: { hide: true } }, async (_request, reply) => {
      const text = await metrics.text();
      return await reply.type(metrics.contentType).send(text);
    });
  };
