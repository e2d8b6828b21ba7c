import type { FastifyInstance } from "fastify";

/** Takes an empty body that is announced as JSON for no body: many clients send the header with every request. */
export function acceptEmptyJson(app: FastifyInstance): void {
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
