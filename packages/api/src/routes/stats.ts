import { ObservabilitySchema, SpaceParamsSchema, SpaceStatsSchema } from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Services } from "../services.js";

export const statsRoutes =
  ({ stats }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = SpaceParamsSchema;
    const statsAnswer = z.object({ stats: SpaceStatsSchema });
    const observabilityAnswer = z.object({ observability: ObservabilitySchema });

    app.get(
      "/:name/stats",
      { schema: { params, response: { 200: statsAnswer } } },
      async (request) => ({
        stats: await stats.stats(request.params.name),
      }),
    );

    app.get(
      "/:name/observability",
      { schema: { params, response: { 200: observabilityAnswer } } },
      async (request) => ({ observability: await stats.observability(request.params.name) }),
    );
  };
