import { DEFAULT_LINK_SECONDS, PortParamsSchema } from "@clawdspace/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { z } from "zod";
import { withoutSecrets } from "../ports/secrets.js";
import type { Services } from "../services.js";
import { carrier, isKeyOf, isVisit, redirect, restOf, routeAny } from "./carry.js";

const VISIT_SECONDS = 24 * DEFAULT_LINK_SECONDS;

/** Ports of spaces for those who have a key. */
export const proxyRoutes =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { previews, keys } = services;
    const carry = carrier(app, services);
    const handle = async (request: FastifyRequest, reply: FastifyReply) => {
      const { name, port } = request.params as z.output<typeof PortParamsSchema>;
      const byHeader = request.headers.authorization !== undefined;
      // A page could read the key in its own address, and what it loads comes without the session's cookie.
      if (!byHeader && isVisit(request)) {
        const at = { protocol: request.protocol, host: request.host };
        const asked = { via: "path", expiresInSeconds: VISIT_SECONDS } as const;
        const { basePath } = await previews.link(name, port, asked, at);
        const rest = withoutSecrets(restOf(request), isKeyOf(keys));
        return await redirect(reply, 307, basePath.slice(0, -1) + rest);
      }
      const prefix = `/api/spaces/${name}/proxy/${port}`;
      return await carry(request, reply, restOf(request), {
        space: name,
        port,
        prefix,
        keepPrefix: false,
        shared: true,
        // Without it a browser may be asking, with everything that it keeps for this host name.
        cookieMarker: byHeader ? undefined : `cs_${port}_`,
        cookiePath: `${prefix}/`,
      });
    };
    for (const url of ["/:name/proxy/:port", "/:name/proxy/:port/*"]) {
      routeAny(app, url, { params: PortParamsSchema }, handle);
    }
  };
