import {
  FindFilesQuerySchema,
  FoundFilesSchema,
  GrepAnswerSchema,
  GrepFilesQuerySchema,
  SpaceParamsSchema,
  WatchEventSchema,
  WatchFilesQuerySchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { WorkspacePath } from "../files/workspace-path.js";
import { disconnectSignal } from "../http/disconnect.js";
import { sendEvents } from "../http/sse.js";
import type { Services } from "../services.js";

/** Searching the files of a space, and following their changes. */
export const fileSearchRoutes =
  ({ searches, watches }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = SpaceParamsSchema;

    app.get(
      "/:name/files/find",
      {
        schema: { params, querystring: FindFilesQuerySchema, response: { 200: FoundFilesSchema } },
      },
      async (request, reply) =>
        await searches.find(request.params.name, WorkspacePath.of(request.query), {
          ...request.query,
          signal: disconnectSignal(reply),
        }),
    );

    app.get(
      "/:name/files/grep",
      {
        schema: { params, querystring: GrepFilesQuerySchema, response: { 200: GrepAnswerSchema } },
      },
      async (request, reply) =>
        await searches.grep(request.params.name, WorkspacePath.of(request.query), {
          ...request.query,
          signal: disconnectSignal(reply),
        }),
    );

    app.get(
      "/:name/files/watch",
      {
        schema: {
          params,
          querystring: WatchFilesQuerySchema,
          produces: ["text/event-stream"],
          response: { 200: WatchEventSchema },
          description:
            'Server-sent events, each named by its type; the last is "closed". A space that is paused meanwhile stays so: nothing changes there, and the watch goes on when it wakes.',
        },
        exposeHeadRoute: false,
      },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        const rounds = await watches.watch(request.params.name, WorkspacePath.of(request.query), {
          recursive: request.query.recursive ?? false,
          signal,
        });
        await sendEvents(request, reply, rounds, signal);
      },
    );
  };
