import {
  type ExecEvent,
  type ExecRequest,
  ExecRequestSchema,
  ExecResultSchema,
  SpaceParamsSchema,
} from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { disconnectSignal } from "../http/disconnect.js";
import { sendNdjson, wantsNdjson } from "../http/ndjson.js";
import { captureExec } from "../processes/capture.js";
import { toExecEvents } from "../processes/exec-events.js";
import type { Services } from "../services.js";

export const execRoutes =
  ({ exec }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      "/:name/exec",
      {
        schema: {
          params: SpaceParamsSchema,
          body: ExecRequestSchema,
          response: { 200: ExecResultSchema },
        },
      },
      async (request, reply) => {
        const signal = disconnectSignal(reply);
        const body: ExecRequest = request.body;
        const output = exec.run(request.params.name, body, signal);
        if (!wantsNdjson(request)) return await captureExec(output, body);
        const events: AsyncIterable<ExecEvent> = toExecEvents(output, body);
        await sendNdjson(request, reply, events, signal);
      },
    );
  };
