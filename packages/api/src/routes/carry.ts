import { METHODS } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { KeyStore } from "../keys/key-store.js";
import { Forwarder } from "../ports/forward.js";
import type { Mount } from "../ports/mount.js";
import type { PortService } from "../ports/port-service.js";

/** Every method but CONNECT, which is for proxies of another kind, and QUERY, whose bodies Fastify looks into. */
const ANY = METHODS.filter((method) => method !== "CONNECT" && method !== "QUERY");
/** The part of a path that stands for the mount: /api/spaces/NAME/proxy/PORT or /api/spaces/NAME/preview/TOKEN. */
const MOUNT_PATH = /^\/api\/spaces\/[^/?]+\/(?:proxy|preview)\/[^/?]+/;

export type Carry = (
  request: FastifyRequest,
  reply: FastifyReply,
  rest: string,
  mount: Mount,
) => Promise<FastifyReply>;

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/** Prepares a scope for carrying requests into spaces: any method, any body, and upgrades. Returns what carries one. */
export function carrier(
  app: FastifyInstance,
  { ports, keys }: { ports: PortService; keys: KeyStore },
): Carry {
  const forwarder = new Forwarder(ports);
  const early = new WeakMap<FastifyRequest["raw"], Buffer>();
  app.server.prependListener("upgrade", (raw, _socket, head) => early.set(raw, head));
  app.addHook("preClose", async () => forwarder.close());
  for (const method of ANY) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
  }
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));

  return async (request, reply, rest, mount) => {
    const send = await forwarder.forward({
      incoming: request.raw,
      response: reply.raw,
      early: early.get(request.raw),
      outside: { mount, host: request.headers.host, isKey: isKeyOf(keys) },
      rest,
    });
    reply.hijack();
    await send();
    return reply;
  };
}

/** A route for every method, whose handler gets upgrades too, before anybody has shaken hands on them. */
export function routeAny(
  app: FastifyInstance,
  url: string,
  schema: object,
  handler: Handler,
): void {
  app.route({
    method: ANY,
    url,
    schema: { ...schema, hide: true },
    preParsing: async (request) => {
      // What the body's type is said to be is for the space to judge.
      delete request.headers["content-type"];
    },
    preHandler: async (request, reply) => {
      if (request.ws) await handler(request, reply);
    },
    handler,
  });
}

export const isKeyOf = (keys: KeyStore) => (text: string) => keys.verify(text) !== undefined;

/** Whether a browser asks for a page, and not a page for its parts. */
export function isVisit({ method, headers }: FastifyRequest): boolean {
  return (method === "GET" || method === "HEAD") && (headers.accept ?? "").includes("text/html");
}

/** What is asked for below the mount, undecoded: "/…" with its query. */
export function restOf(request: FastifyRequest): string {
  const rest = (request.raw.url ?? "").replace(MOUNT_PATH, "");
  return rest.startsWith("/") ? rest : `/${rest}`;
}

export async function redirect(reply: FastifyReply, status: 303 | 307, to: string) {
  return await reply
    .header("cache-control", "no-store")
    .header("referrer-policy", "no-referrer")
    .redirect(to, status);
}
