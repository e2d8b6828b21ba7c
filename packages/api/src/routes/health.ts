import { HealthSchema } from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { VERSION } from "../version.js";

export const healthRoutes: FastifyPluginAsyncZod = async (app) => {
  app.get("/health", { schema: { response: { 200: HealthSchema }, security: [] } }, () => ({
    status: "ok" as const,
    version: VERSION,
  }));
};
