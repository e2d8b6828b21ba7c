import { Readable } from "node:stream";
import {
  AuditAnswerSchema,
  AuditQuerySchema,
  AuditVerdictSchema,
  DEFAULT_AUDIT_LIMIT,
} from "@clawdspace/protocol";
import type { FastifyReply } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { checkSpace, maySee } from "../http/access.js";
import { NDJSON } from "../http/ndjson.js";
import type { Services } from "../services.js";

export const auditRoutes =
  ({ recorder }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      "/",
      { schema: { querystring: AuditQuerySchema, response: { 200: AuditAnswerSchema } } },
      async (request, reply) => {
        const { actor } = request;
        const { format, limit, ...asked } = request.query;
        if (asked.space !== undefined) checkSpace(actor, asked.space);
        const filter = {
          ...asked,
          // What was done to the node itself is the owner's alone.
          visible: (space: string | undefined) =>
            space === undefined ? actor.role === "admin" : maySee(actor, space),
        };
        if (format === "jsonl" && limit === undefined) {
          return await sendLines(reply, Readable.from(recorder.log.lines(filter)));
        }
        const wanted = limit ?? DEFAULT_AUDIT_LIMIT;
        const events = await recorder.log.newest(filter, wanted);
        if (format === "jsonl") {
          const lines = events.map((event) => `${JSON.stringify(event)}\n`);
          return await sendLines(reply, lines.join(""));
        }
        const next = events.length === wanted ? events[0]?.id : undefined;
        return { events, ...(next === undefined ? {} : { next }) };
      },
    );

    app.get("/verify", { schema: { response: { 200: AuditVerdictSchema } } }, async () =>
      recorder.log.verify(),
    );
  };

async function sendLines(reply: FastifyReply, lines: Readable | string): Promise<undefined> {
  await reply.type(`${NDJSON}; charset=utf-8`).send(lines);
}
