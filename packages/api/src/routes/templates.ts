import {
  MessageSchema,
  PutTemplateRequestSchema,
  TemplateAnswerSchema,
  TemplateListSchema,
  TemplateParamsSchema,
  TemplateSourceSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { Services } from "../services.js";

export const templateRoutes =
  ({ templates }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = TemplateParamsSchema;

    app.get("/", { schema: { response: { 200: TemplateListSchema } } }, async () => ({
      templates: await templates.list(),
    }));

    app.get("/:name", { schema: { params, response: { 200: TemplateSourceSchema } } }, (request) =>
      templates.source(request.params.name),
    );

    app.put(
      "/",
      { schema: { body: PutTemplateRequestSchema, response: { 200: TemplateAnswerSchema } } },
      async (request) => ({ template: await templates.put(request.body.yaml) }),
    );

    app.delete(
      "/:name",
      { schema: { params, response: { 200: MessageSchema } } },
      async (request) => {
        await templates.remove(request.params.name);
        return { message: `Template "${request.params.name}" deleted` };
      },
    );
  };
