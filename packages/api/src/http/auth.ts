import { type Actor, ClawdspaceError } from "@clawdspace/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { RateLimiterMemory } from "rate-limiter-flexible";
import type { KeyStore } from "../keys/key-store.js";
import type { Sessions } from "../keys/sessions.js";
import { PEER_HEADER } from "../nodes/peer-link.js";
import type { PeerSessions } from "../nodes/peer-sessions.js";
import { ACCESS, checkRole, checkSpace } from "./access.js";
import { OpenRequests } from "./open-requests.js";
import { checkOrigin, checkOwnHost } from "./origin.js";

export const SESSION_COOKIE = "clawdspace_session";

/** Failed attempts that an address has in a minute. */
const FAILURES_A_MINUTE = 20;

declare module "fastify" {
  interface FastifyRequest {
    /** Who asks. */
    actor: Actor;
    /** The node that passes the request on, and the client that it got it from; undefined where nobody does. */
    peer?: { node: string; from: string | undefined } | undefined;
  }
}

/** What everybody is where authentication is switched off. */
export const ANONYMOUS: Actor = { name: "anonymous", role: "admin", authDisabled: true };

/** Tells who a request is from. A caller whose key is wrong too often has to wait; right keys never do. */
export class Authenticator {
  readonly #failures = new RateLimiterMemory({ points: FAILURES_A_MINUTE, duration: 60 });
  readonly #open = new OpenRequests();

  /** @param keys undefined where authentication is switched off. */
  constructor(
    private readonly keys: KeyStore | undefined,
    readonly sessions: Sessions,
    private readonly peers: PeerSessions,
  ) {
    keys?.onRevoked((keyId) => this.#open.end(keyId));
  }

  /**
   * The actor behind `Authorization: Bearer KEY`, `?key=KEY` or the session cookie,
   * or, where another node passes the request on, the one that it names. What comes with a key that is revoked meanwhile
   * is broken off. Throws `unauthorized`, `rate_limited`, or `forbidden` where a cookie comes from another site's page.
   */
  async authenticate(request: FastifyRequest, reply: FastifyReply): Promise<Actor> {
    const passed = request.headers[PEER_HEADER];
    if (typeof passed === "string") return await this.#passedOn(request, passed);
    if (!this.keys) {
      // Any page that a browser on this machine shows could ask, so that only our own may.
      checkOwnHost(request);
      if (request.headers.origin !== undefined) checkOrigin(request);
      return ANONYMOUS;
    }
    const { actor, keyId } = await this.#identify(request);
    // Who revokes the key that they use gets the answer.
    if (!request.routeOptions.url?.startsWith("/api/keys")) this.#open.add(keyId, request, reply);
    return actor;
  }

  async #identify(request: FastifyRequest): Promise<{ actor: Actor; keyId: string }> {
    const secret = secretOf(request);
    if (secret !== undefined) return await this.verify(request, secret);
    const token = request.cookies[SESSION_COOKIE];
    const keyId = token === undefined ? undefined : await this.sessions.verify(token);
    const actor = keyId === undefined ? undefined : this.keys?.actorOf(keyId);
    if (!actor || keyId === undefined) throw unauthorized();
    // A cookie is sent by the browser whoever's page asks.
    checkOrigin(request);
    return { actor, keyId };
  }

  async #passedOn(request: FastifyRequest, token: string): Promise<Actor> {
    const { method, originalUrl: path } = request;
    const { node, from, actor, header } = await this.peers.verify(token, { method, path });
    request.peer = { node, from };
    // What is passed on into a space must not hold the token, nor look as if a browser had asked where none has.
    delete request.headers[PEER_HEADER];
    dropHeader(request.raw.rawHeaders, PEER_HEADER);
    if (header) request.headers.authorization ??= "Bearer";
    return actor;
  }

  /** Whose key a secret is. Throws `unauthorized`, or `rate_limited` after too many failures from one address. */
  async verify(request: FastifyRequest, secret: string): Promise<{ actor: Actor; keyId: string }> {
    const known = this.keys?.verify(secret);
    if (known) return known;
    const attempt = await this.#failures.consume(request.ip).catch((limited: unknown) => limited);
    const { msBeforeNext, remainingPoints } = attempt as {
      msBeforeNext: number;
      remainingPoints: number;
    };
    if (remainingPoints > 0 || !(msBeforeNext > 0)) throw unauthorized();
    throw new ClawdspaceError(
      "rate_limited",
      "Too many wrong keys from your address. Wait a minute.",
      {
        retryAfterSeconds: Math.ceil(msBeforeNext / 1000),
      },
    );
  }
}

const unauthorized = () => new ClawdspaceError("unauthorized", "Unauthorized");

/** Guards every route of a scope: who asks is known and may do this, to this space. */
export function guard(app: FastifyInstance, authenticator: Authenticator): void {
  app.decorateRequest("actor");
  app.decorateRequest("peer");
  app.addHook("onRoute", (route) => {
    for (const method of [route.method].flat()) {
      if (method === "HEAD" || method === "OPTIONS") continue;
      accessOf(method, route.url);
    }
  });
  app.addHook("onRequest", async (request, reply) => {
    // Tells the other node that it is its token that isn't taken; what a space answers with is nothing to it.
    if (request.headers[PEER_HEADER] !== undefined) reply.header(PEER_HEADER, "refused");
    request.actor = await authenticator.authenticate(request, reply);
    reply.removeHeader(PEER_HEADER);
    const { url = "" } = request.routeOptions;
    checkRole(request.actor, accessOf(request.method === "HEAD" ? "GET" : request.method, url));
    const { name } = request.params as { name?: string };
    if (name !== undefined && url.startsWith("/api/spaces/")) checkSpace(request.actor, name);
  });
}

function accessOf(method: string, url: string) {
  const path = url.replace(/\/$/, "");
  const access = ACCESS[`${method} ${path}`] ?? ACCESS[`ANY ${path}`];
  if (access === undefined) throw new Error(`${method} ${path} has no entry in http/access.ts`);
  return access;
}

/** Takes a header out of Node's list of names and values. */
function dropHeader(raw: string[], name: string): void {
  for (let at = raw.length - 2; at >= 0; at -= 2) {
    if (raw[at]?.toLowerCase() === name) raw.splice(at, 2);
  }
}

/** The API key that a request brings itself. */
export function secretOf(request: FastifyRequest): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1];
  if (bearer !== undefined) return bearer;
  const { key } = request.query as { key?: unknown };
  return typeof key === "string" ? key : undefined;
}
