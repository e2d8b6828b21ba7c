import type { FastifyInstance } from "fastify";

/** The token of a preview, which opens it to whoever reads the log. */
const PREVIEW_TOKEN = /(\/preview\/)[^/]+/;

/** One line for each finished request, and its id in the answer. The query is left out: it may hold the key. */
export function logRequests(app: FastifyInstance): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
  });
  app.addHook("onResponse", async (request, reply) => {
    const [path] = request.url.split("?");
    const line = {
      method: request.method,
      path: path?.replace(PREVIEW_TOKEN, "$1***"),
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    };
    request.log.info(line, "request");
  });
}
