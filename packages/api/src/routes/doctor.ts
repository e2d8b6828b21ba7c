import { DoctorSchema } from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { Services } from "../services.js";

export const doctorRoutes =
  ({ doctor }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get("/", { schema: { response: { 200: DoctorSchema } } }, () => doctor());
  };
