import {
  CreatedKeySchema,
  CreateKeyRequestSchema,
  KeyListSchema,
  KeyParamsSchema,
  MessageSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { KeyStore } from "../keys/key-store.js";

export const keyRoutes =
  (keys: KeyStore): FastifyPluginAsyncZod =>
  async (app) => {
    app.get("/", { schema: { response: { 200: KeyListSchema } } }, () => ({ keys: keys.list() }));

    app.post(
      "/",
      { schema: { body: CreateKeyRequestSchema, response: { 201: CreatedKeySchema } } },
      async (request, reply) => reply.status(201).send(await keys.create(request.body)),
    );

    app.delete(
      "/:id",
      { schema: { params: KeyParamsSchema, response: { 200: MessageSchema } } },
      async (request) => {
        await keys.revoke(request.params.id);
        return { message: `Key "${request.params.id}" revoked` };
      },
    );
  };
