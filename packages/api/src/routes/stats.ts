import {
  MetricsHistorySchema,
  ObservabilitySchema,
  SpaceParamsSchema,
  SpaceStatsSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import type { Services } from "../services.js";

export const statsRoutes =
  ({ stats, spaces, history }: Services): FastifyPluginAsyncZod =>
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

    const historyAnswer = z.object({ history: MetricsHistorySchema });
    app.get(
      "/:name/metrics/history",
      { schema: { params, response: { 200: historyAnswer } } },
      async (request) => {
        const entry = await spaces.find(request.params.name);
        return { history: { intervalMs: history.intervalMs, points: history.of(entry) } };
      },
    );
  };
