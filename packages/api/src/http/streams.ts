import type { FastifyInstance } from "fastify";

/** Lets the routes of a scope take bodies of any type as the streams they are; their size is not limited. */
export function takeStreams(
  app: Pick<FastifyInstance, "removeAllContentTypeParsers" | "addContentTypeParser">,
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
}
