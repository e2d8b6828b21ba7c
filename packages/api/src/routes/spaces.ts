import {
  type CreateSpaceEvent,
  CreateSpaceRequestSchema,
  MessageSchema,
  type Placement,
  RemoveSpaceQuerySchema,
  type Space,
  SpaceAnswerSchema,
  SpaceListQuerySchema,
  SpaceListSchema,
  SpaceParamsSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { checkSpace, maySee } from "../http/access.js";
import { disconnectSignal } from "../http/disconnect.js";
import { sendNdjson, wantsNdjson } from "../http/ndjson.js";
import { withProgress } from "../http/progress.js";
import { allSpaces } from "../nodes/all-spaces.js";
import type { Services } from "../services.js";
import { createPlaced } from "./placed-create.js";

export const spaceRoutes =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { spaces, fleet } = services;
    const params = SpaceParamsSchema;

    app.get(
      "/",
      { schema: { querystring: SpaceListQuerySchema, response: { 200: SpaceListSchema } } },
      async ({ actor, query, peer, ip: from }) => {
        const own = (await spaces.list()).filter(({ name }) => maySee(actor, name));
        return query.node === "all" && !peer
          ? await allSpaces(fleet, own, { actor, from })
          : { spaces: own };
      },
    );

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
        const { node } = request.body;
        const createHere = async (placement?: Placement) => {
          const signal = disconnectSignal(reply);
          const options = { signal, placed: node === "auto" };
          const named = (space: Space) => (placement ? { ...space, node: placement.node } : space);
          if (!wantsNdjson(request)) {
            const space = await spaces.create(request.body, { ...options, onProgress: () => {} });
            await reply.status(201).send({ space: named(space), ...(placement && { placement }) });
            return;
          }
          const events = withProgress<CreateSpaceEvent>(async (onProgress) => ({
            type: "space",
            space: named(await spaces.create(request.body, { ...options, onProgress })),
          }));
          await sendNdjson(request, reply, events, signal);
        };
        // What another node passes on was placed by that one.
        if (node === undefined || request.peer) return await createHere();
        await createPlaced(services, request, reply, node, createHere);
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
