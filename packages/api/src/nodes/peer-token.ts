import { randomUUID } from "node:crypto";
import { type Actor, ActorSchema } from "@clawdspace/protocol";
import { decodeProtectedHeader, jwtVerify, SignJWT } from "jose";
import { z } from "zod";

/** How long a token may be on its way. */
export const TOKEN_SECONDS = 30;

const ClaimsSchema = z.object({
  jti: z.string().min(1).max(64),
  exp: z.number(),
  htm: z.string(),
  htu: z.string(),
  actor: ActorSchema,
  from: z.string().max(64).optional(),
  header: z.boolean(),
});

/** What a token says of the one request that it is good for. */
export interface PeerRequest {
  method: string;
  /** With the query, as it stands in the request's first line. */
  path: string;
  actor: Actor;
  /** The address of the client that asks, as the forwarding node saw it. */
  from?: string | undefined;
  /** Whether the client sent its key in a header, as no page in a browser does by itself. */
  header: boolean;
}

/** One node's end of a session with another. */
export interface TokenSession {
  id: string;
  key: Uint8Array;
  /** The node that signs, and the one that the request is for. */
  from: string;
  to: string;
}

/** A token for one request, good once and for half a minute. `now` is the receiver's clock, in milliseconds. */
export async function signToken(
  session: TokenSession,
  request: PeerRequest,
  now: number,
): Promise<string> {
  const seconds = Math.floor(now / 1000);
  return await new SignJWT({
    htm: request.method,
    htu: request.path,
    actor: request.actor,
    header: request.header,
    ...(request.from === undefined ? {} : { from: request.from }),
  })
    .setProtectedHeader({ alg: "HS256", typ: "clawdspace-peer+jwt", kid: session.id })
    .setIssuer(session.from)
    .setAudience(session.to)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + TOKEN_SECONDS)
    .setJti(randomUUID())
    .sign(session.key);
}

/** The session that a token says it belongs to; undefined where it is no token. */
export function sessionOf(token: string): string | undefined {
  try {
    const { kid } = decodeProtectedHeader(token);
    return typeof kid === "string" ? kid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What a token says, where it was signed in this session for this very method and path and is still good. Whether it was used
 * before is for the caller to know, by its id. undefined for every other token.
 */
export async function readToken(
  session: TokenSession,
  token: string,
  asked: { method: string; path: string },
): Promise<(PeerRequest & { id: string; expires: number }) | undefined> {
  const verified = await jwtVerify(token, session.key, {
    algorithms: ["HS256"],
    typ: "clawdspace-peer+jwt",
    issuer: session.from,
    audience: session.to,
    maxTokenAge: TOKEN_SECONDS,
    clockTolerance: 2,
    requiredClaims: ["jti", "exp", "iat"],
  }).catch(() => undefined);
  const claims = ClaimsSchema.safeParse(verified?.payload);
  if (!claims.success) return undefined;
  const { jti, exp, htm, htu, actor, from, header } = claims.data;
  if (htm !== asked.method || htu !== asked.path) return undefined;
  return { id: jti, expires: exp * 1000, method: htm, path: htu, actor, from, header };
}
