import {
  ClawdspaceError,
  type CreateSpaceEvent,
  MessageSchema,
  MoveSpaceRequestSchema,
  SpaceAnswerSchema,
  SpaceParamsSchema,
} from "@clawdspace/protocol";
import type { FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { checkSpace } from "../http/access.js";
import { disconnectSignal } from "../http/disconnect.js";
import { refuseRest } from "../http/linger.js";
import { sendNdjson, wantsNdjson } from "../http/ndjson.js";
import { withProgress } from "../http/progress.js";
import { takeStreams } from "../http/streams.js";
import {
  CommittedMoveSchema,
  MoveParamsSchema,
  PreparedMoveSchema,
  TreeDigestSchema,
} from "../nodes/moves/peer-moves.js";
import type { Services } from "../services.js";

/** Moves a space of this node to another one, and takes one back whose move doesn't come to an end. */
export const moveRoutes =
  ({ departures, settling }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      "/:name/move",
      {
        schema: {
          params: SpaceParamsSchema,
          body: MoveSpaceRequestSchema,
          response: { 200: SpaceAnswerSchema },
          description:
            "What runs in the space ends. Answered as JSON lines where those are asked for, as a create is.",
        },
      },
      async (request, reply) => {
        const { actor, peer } = request;
        const { name } = request.params;
        const signal = disconnectSignal(reply);
        const from = peer ? peer.from : request.ip;
        const options = { actor, from, signal };
        const { node } = request.body;
        if (!wantsNdjson(request)) {
          const space = await departures.move(name, node, { ...options, onProgress() {} });
          return await reply.send({ space });
        }
        const events = withProgress<CreateSpaceEvent>(async (onProgress) => ({
          type: "space",
          space: await departures.move(name, node, {
            ...options,
            onProgress: (progress) => onProgress({ type: "progress", step: "copy", ...progress }),
          }),
        }));
        await sendNdjson(request, reply, events, signal);
      },
    );

    app.delete(
      "/:name/move",
      {
        schema: {
          params: SpaceParamsSchema,
          response: { 200: MessageSchema },
          description:
            "Takes the copy here as the space again, where the other node got it and never came back to say whether it keeps it. If it comes back after all, both have a space of that name.",
        },
      },
      async ({ params: { name } }) => {
        await settling.takeBack(name);
        return { message: `The space "${name}" is used here again.` };
      },
    );
  };

/** What nodes say to each other to move a space to this one. */
export const peerMoveRoutes =
  ({ arrivals }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.addHook("preHandler", async (request) => {
      if (!request.peer) {
        throw new ClawdspaceError(
          "forbidden",
          "Only a node asks for this. POST /api/spaces/NAME/move moves a space.",
        );
      }
      checkSpace(request.actor, nameOf(request));
    });
    const params = MoveParamsSchema;

    app.post(
      "/",
      { schema: { body: PreparedMoveSchema, response: { 200: MessageSchema }, hide: true } },
      async (request, reply) => {
        await arrivals.prepare(request.body, disconnectSignal(reply));
        return { message: "It may come." };
      },
    );

    app.post(
      "/:name/:id/commit",
      { schema: { params, response: { 200: CommittedMoveSchema }, hide: true } },
      async ({ params: { id, name } }) => await arrivals.commit(id, name),
    );

    app.delete(
      "/:name/:id",
      { schema: { params, response: { 200: MessageSchema }, hide: true } },
      async ({ params: { id } }) => {
        arrivals.abandon(id);
        return { message: "It is given up." };
      },
    );

    await app.register(async (streams) => {
      takeStreams(streams);
      streams.put(
        "/:name/:id/workspace",
        { schema: { params, response: { 200: TreeDigestSchema }, hide: true } },
        async (request, reply) => {
          try {
            const { id } = request.params as { id: string };
            return await arrivals.take(id, request.raw, disconnectSignal(reply));
          } catch (error) {
            refuseRest(request, reply);
            throw error;
          }
        },
      );
    });
  };

function nameOf({ body, params }: FastifyRequest): string {
  const { name } = { ...(body as object | null), ...(params as object) } as { name?: string };
  return name ?? "";
}
