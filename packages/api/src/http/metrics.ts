import type { FastifyInstance } from "fastify";
import type { Metrics } from "../metrics/metrics.js";

/** Measures every answer, by its route's pattern: paths themselves would be without number. */
export function measureRequests(
  app: FastifyInstance,
  { requests, requestSeconds }: Pick<Metrics, "requests" | "requestSeconds">,
): void {
  app.addHook("onResponse", async ({ method, routeOptions }, reply) => {
    const { url: route = "none" } = routeOptions;
    requests.inc({ method, route, status: `${reply.statusCode}` });
    requestSeconds.observe({ route }, reply.elapsedTime / 1000);
  });
}
