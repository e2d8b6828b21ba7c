import { CapabilitiesSchema, SystemSchema } from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { Services } from "../services.js";

export const systemRoutes =
  ({ system }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get("/", { schema: { response: { 200: SystemSchema } } }, () => system.system());
    app.get("/capabilities", { schema: { response: { 200: CapabilitiesSchema } } }, () =>
      system.capabilities(),
    );
  };
