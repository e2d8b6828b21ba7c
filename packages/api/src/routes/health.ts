import { HealthSchema } from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { Services } from "../services.js";
import { VERSION } from "../version.js";

export const healthRoutes =
  ({ engineHealth }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get("/health", { schema: { response: { 200: HealthSchema }, security: [] } }, async () => ({
      status: "ok" as const,
      version: VERSION,
      engine: (await engineHealth.answers()) ? ("ok" as const) : ("unreachable" as const),
    }));
  };
