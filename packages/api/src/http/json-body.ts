import type { FastifyInstance } from "fastify";

/**
 * Takes bodies as JSON, and no other kind unless a route asks for one. An empty body that is announced as JSON counts as
 * no body: many clients send the header with every request.
 */
export function acceptJson(app: FastifyInstance): void {
  app.removeContentTypeParser("text/plain");
  const parse = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser<string>(
    "application/json",
    { parseAs: "string" },
    (request, body, done) => {
      if (body.length === 0) done(null, undefined);
      else void parse(request, body, done);
    },
  );
}
