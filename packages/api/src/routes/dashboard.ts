import { access } from "node:fs/promises";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import type { FastifyPluginAsync } from "fastify";

/** Names of built files hold a hash of their content, so they never change. */
const FOREVER = "public, max-age=31536000, immutable";

/** Paths that are the API's own: what is unknown below them is an error, not a page. */
const NO_PAGE = /^\/(api|metrics|assets|\.)/;

const NOT_BUILT = "The dashboard is not built. Run `npm run build` in the repository and reload.\n";

/**
 * The dashboard, without a key: its files, and its one page for every other path, as it does its own routing.
 * @param folder its built files; undefined where there are none to serve
 */
export const dashboardRoutes =
  (folder: string | undefined): FastifyPluginAsync =>
  async (app) => {
    if (folder === undefined) return;
    await app.register(fastifyStatic, {
      root: folder,
      serve: false,
      cacheControl: false,
      preCompressed: true,
    });
    app.get("/*", { schema: { hide: true } as object }, async (request, reply) => {
      const [path = "/"] = request.url.split("?");
      const { "*": file } = request.params as { "*": string };
      if (/^assets\/[\w.-]+$/.test(file)) {
        reply.header("cache-control", FOREVER);
        return reply.sendFile(file);
      }
      if (/^[\w-]+\.(svg|png|ico|webmanifest)$/.test(file)) {
        reply.header("cache-control", "public, max-age=3600");
        return reply.sendFile(file);
      }
      if (NO_PAGE.test(path)) return reply.callNotFound();
      const built = await access(join(folder, "index.html")).then(
        () => true,
        () => false,
      );
      if (!built) return await reply.status(503).type("text/plain; charset=utf-8").send(NOT_BUILT);
      reply.header("cache-control", "no-cache");
      return reply.sendFile("index.html");
    });
  };
