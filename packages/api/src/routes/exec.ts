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
import { toExecEvents } from "../processes/exec-events.js";
import type { ExecService } from "../processes/exec-service.js";
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
        const { name } = request.params;
        if (!wantsNdjson(request)) return await exec.run(name, body, signal);
        const output = exec.follow(name, body, signal);
        await sendNdjson(request, reply, streamed(output, body), signal);
      },
    );
  };

/** Waits for the start, whose failure is an ordinary error, then lets the answer begin. */
async function* streamed(
  output: ReturnType<ExecService["follow"]>,
  body: ExecRequest,
): AsyncGenerator<ExecEvent | undefined> {
  const first = await output.next();
  try {
    yield undefined;
    const all = async function* () {
      if (!first.done) yield first.value;
      yield* output;
    };
    yield* toExecEvents(all(), body);
  } finally {
    await output.return(undefined);
  }
}
