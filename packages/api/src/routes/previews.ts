import { ClawdspaceError, SpaceParamsSchema } from "@clawdspace/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { PREVIEW_HOST_ROUTE } from "../ports/preview-host.js";
import { previewPage } from "../ports/preview-page.js";
import { type Permit, pathPrefix } from "../ports/previews.js";
import { sameOriginHeaders } from "../ports/response-headers.js";
import { TOKEN_PARAMETER, withoutSecrets } from "../ports/secrets.js";
import type { Services } from "../services.js";
import { carrier, isKeyOf, isVisit, redirect, restOf, routeAny } from "./carry.js";

const VISIT_COOKIE = "clawdspace_preview";

const HOW = "Get one in the dashboard, or from POST /api/spaces/NAME/ports/PORT/link.";
const REFUSED = {
  missing: `This preview opens with a link. ${HOW}`,
  ended: `This link has expired, was changed on its way, or its space is gone. ${HOW}`,
  stranger: "This request came from another site's page.",
};

const TokenParamsSchema = SpaceParamsSchema.extend({ token: z.string().min(1).max(255) });

/** Ports of spaces for those who have a link: below the API's paths, and on hosts of their own. */
export const previewRoutes =
  (services: Services, { authDisabled }: { authDisabled: boolean }): FastifyPluginAsyncZod =>
  async (app) => {
    const { previews, keys } = services;
    const carry = carrier(app, services);

    const byPath = async (request: FastifyRequest, reply: FastifyReply) => {
      const { name, token } = request.params as z.output<typeof TokenParamsSchema>;
      const permit = await previews.permit("path", name, token);
      if (!permit) return await refuse(request, reply, REFUSED.ended);
      const prefix = pathPrefix(name, token);
      if (request.raw.url === prefix && isVisit(request)) {
        return await redirect(reply, 307, `${prefix}/`);
      }
      const preflight = preflightOf(request);
      if (preflight) {
        reply.hijack();
        reply.raw.writeHead(204, sameOriginHeaders(preflight)).end();
        return reply;
      }
      return await carry(request, reply, restOf(request), {
        space: name,
        port: permit.port,
        prefix,
        keepPrefix: permit.keepPrefix,
        shared: true,
        cookieMarker: `cs_${permit.port}_`,
        cookiePath: `/api/spaces/${name}/preview/`,
      });
    };
    for (const url of ["/api/spaces/:name/preview/:token", "/api/spaces/:name/preview/:token/*"]) {
      routeAny(app, url, { params: TokenParamsSchema }, byPath);
    }

    routeAny(app, PREVIEW_HOST_ROUTE, {}, async (request, reply) => {
      const target = previews.hostTarget(request.headers.host);
      // Somebody asks for the route itself, by the API's own host.
      if (target === undefined) {
        reply.callNotFound();
        return reply;
      }
      const rest = request.originalUrl;
      const space = target === "none" ? undefined : await previews.spaceOf(target.hostPart);
      if (target === "none" || space === undefined || !rest.startsWith("/")) {
        return await refuse(request, reply, REFUSED.missing);
      }
      const isFor = (permit: Permit | undefined): permit is Permit => permit?.port === target.port;

      const token = new URLSearchParams(rest.split("?")[1]).get(TOKEN_PARAMETER);
      if (token !== null) {
        const permit = await previews.permit("host", space, token);
        if (!isFor(permit)) return await refuse(request, reply, REFUSED.ended);
        reply.setCookie(VISIT_COOKIE, await previews.visit(permit), {
          path: "/",
          httpOnly: true,
          sameSite: "lax",
          secure: request.headers["x-forwarded-proto"] === "https",
          expires: new Date(permit.expires * 1000),
        });
        // With two slashes it would lead to another host.
        const visited = withoutSecrets(rest, isKeyOf(keys)).replace(/^[/\\]+/, "/");
        return await redirect(reply, 303, visited);
      }
      if (!authDisabled) {
        const visit = request.cookies[VISIT_COOKIE] ?? "";
        if (!isFor(await previews.permit("visit", space, visit))) {
          return await refuse(request, reply, REFUSED.missing);
        }
        if (!(await isNeighbour(request, space))) {
          return await refuse(request, reply, REFUSED.stranger);
        }
      }
      return await carry(request, reply, rest, {
        space,
        port: target.port,
        prefix: "",
        keepPrefix: false,
        shared: false,
        cookieMarker: undefined,
        cookiePath: "/",
      });
    });

    /**
     * Browsers send the cookie with requests of pages on sibling hosts too, which are other spaces' pages: those must not
     * use it. Pages of the same space may.
     */
    async function isNeighbour({ headers }: FastifyRequest, space: string): Promise<boolean> {
      const { origin, host } = headers;
      if (origin === undefined) {
        const near = ["same-origin", "none", undefined].includes(asText(headers["sec-fetch-site"]));
        return near || headers["sec-fetch-mode"] === "navigate";
      }
      if (!URL.canParse(origin)) return false;
      const asking = new URL(origin).host;
      if (asking === host?.toLowerCase()) return true;
      const target = previews.hostTarget(asking);
      return typeof target === "object" && (await previews.spaceOf(target.hostPart)) === space;
    }
  };

const asText = (header: string | string[] | undefined) =>
  typeof header === "object" ? header[0] : header;

/** What a sandboxed page's browser asks before a request that the page sends to its own server. */
function preflightOf({ method, headers }: FastifyRequest) {
  const wanted = headers["access-control-request-method"];
  if (method !== "OPTIONS" || headers.origin !== "null" || wanted === undefined) return undefined;
  return { method: wanted, headers: headers["access-control-request-headers"] };
}

async function refuse(request: FastifyRequest, reply: FastifyReply, text: string) {
  if (!isVisit(request)) throw new ClawdspaceError("forbidden", text);
  return await reply
    .status(403)
    .header("cache-control", "no-store")
    .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
    .type("text/html; charset=utf-8")
    .send(previewPage("This preview is closed", text));
}
