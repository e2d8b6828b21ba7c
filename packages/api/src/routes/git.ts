import { ExecResultSchema, GitPushRequestSchema, SpaceParamsSchema } from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { disconnectSignal } from "../http/disconnect.js";
import type { Services } from "../services.js";

export const gitRoutes =
  ({ spaces, git }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      "/:name/git/push",
      {
        schema: {
          params: SpaceParamsSchema,
          body: GitPushRequestSchema,
          response: { 200: ExecResultSchema },
        },
      },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        return await spaces.use(request.params.name, (entry) =>
          git.push(entry, request.body, signal),
        );
      },
    );
  };
