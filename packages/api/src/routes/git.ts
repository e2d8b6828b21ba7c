import {
  ExecResultSchema,
  GitCheckoutRequestSchema,
  GitCloneAnswerSchema,
  type GitCloneEvent,
  GitCloneRequestSchema,
  GitCommitRequestSchema,
  GitHeadSchema,
  GitPullAnswerSchema,
  GitPullRequestSchema,
  GitPushRequestSchema,
  GitStatusQuerySchema,
  GitStatusSchema,
  SpaceParamsSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { disconnectSignal } from "../http/disconnect.js";
import { sendNdjson, wantsNdjson } from "../http/ndjson.js";
import { withProgress } from "../http/progress.js";
import type { Services } from "../services.js";

export const gitRoutes =
  ({ spaces, git, envOf }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const params = SpaceParamsSchema;

    app.get(
      "/:name/git/status",
      { schema: { params, querystring: GitStatusQuerySchema, response: { 200: GitStatusSchema } } },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        return await spaces.use(request.params.name, (entry) =>
          git.status(entry, request.query.repoPath, signal),
        );
      },
    );

    app.post(
      "/:name/git/clone",
      {
        schema: { params, body: GitCloneRequestSchema, response: { 201: GitCloneAnswerSchema } },
      },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        const { name } = request.params;
        const clone = async (onLine: (line: string) => void) => {
          const env = await envOf(name);
          return await spaces.use(name, (entry) =>
            git.clone(entry, request.body, { signal, env, onLine }),
          );
        };
        if (!wantsNdjson(request)) {
          return await reply.status(201).send({ repository: await clone(() => {}) });
        }
        const events = withProgress<GitCloneEvent>(async (tell) => ({
          type: "done",
          repository: await clone((message) => tell({ type: "progress", message })),
        }));
        await sendNdjson(request, reply, events, signal);
      },
    );

    app.post(
      "/:name/git/pull",
      { schema: { params, body: GitPullRequestSchema, response: { 200: GitPullAnswerSchema } } },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        return await spaces.use(request.params.name, (entry) =>
          git.pull(entry, request.body, signal),
        );
      },
    );

    app.post(
      "/:name/git/push",
      { schema: { params, body: GitPushRequestSchema, response: { 200: ExecResultSchema } } },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        return await spaces.use(request.params.name, (entry) =>
          git.push(entry, request.body, signal),
        );
      },
    );

    app.post(
      "/:name/git/commit",
      { schema: { params, body: GitCommitRequestSchema, response: { 200: GitHeadSchema } } },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        return await spaces.use(request.params.name, (entry) =>
          git.commit(entry, request.body, signal),
        );
      },
    );

    app.post(
      "/:name/git/checkout",
      { schema: { params, body: GitCheckoutRequestSchema, response: { 200: GitHeadSchema } } },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        return await spaces.use(request.params.name, (entry) =>
          git.checkout(entry, request.body, signal),
        );
      },
    );
  };
