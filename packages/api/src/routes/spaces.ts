import {
  type CreateSpaceEvent,
  CreateSpaceRequestSchema,
  MessageSchema,
  RemoveSpaceQuerySchema,
  SpaceAnswerSchema,
  SpaceListSchema,
  SpaceParamsSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { checkSpace, maySee } from "../http/access.js";
import { disconnectSignal } from "../http/disconnect.js";
import { sendNdjson, wantsNdjson } from "../http/ndjson.js";
import { withProgress } from "../http/progress.js";
import type { Services } from "../services.js";

export const spaceRoutes =
  ({ spaces }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = SpaceParamsSchema;

    app.get("/", { schema: { response: { 200: SpaceListSchema } } }, async (request) => ({
      spaces: (await spaces.list()).filter(({ name }) => maySee(request.actor, name)),
    }));

    app.get(
      "/:name",
      { schema: { params, response: { 200: SpaceAnswerSchema } } },
      async (request) => ({
        space: await spaces.describe(request.params.name),
      }),
    );

    app.post(
      "/",
      { schema: { body: CreateSpaceRequestSchema, response: { 201: SpaceAnswerSchema } } },
      async (request, reply) => {
        checkSpace(request.actor, request.body.name);
        const signal = disconnectSignal(reply);
        if (!wantsNdjson(request)) {
          const space = await spaces.create(request.body, { signal, onProgress: () => {} });
          return await reply.status(201).send({ space });
        }
        const events = withProgress<CreateSpaceEvent>(async (onProgress) => ({
          type: "space",
          space: await spaces.create(request.body, { signal, onProgress }),
        }));
        await sendNdjson(request, reply, events, signal);
      },
    );

    app.delete(
      "/:name",
      { schema: { params, querystring: RemoveSpaceQuerySchema, response: { 200: MessageSchema } } },
      async (request) => {
        const { name } = request.params;
        const removeVolume = ["true", "1"].includes(request.query.removeVolume ?? "");
        await spaces.remove(name, removeVolume);
        return { message: `Space "${name}" removed${removeVolume ? " with its volume" : ""}` };
      },
    );

    app.post(
      "/:name/stop",
      { schema: { params, response: { 200: MessageSchema } } },
      async (request) => {
        await spaces.pause(request.params.name);
        return { message: `Space "${request.params.name}" paused` };
      },
    );

    app.post(
      "/:name/start",
      { schema: { params, response: { 200: MessageSchema } } },
      async (request) => {
        await spaces.resume(request.params.name);
        return { message: `Space "${request.params.name}" running` };
      },
    );
  };
