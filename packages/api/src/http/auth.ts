import { createHash, timingSafeEqual } from "node:crypto";
import { ClawdspaceError } from "@clawdspace/protocol";
import type { FastifyRequest } from "fastify";

const digest = (text: string) => createHash("sha256").update(text).digest();

/**
 * A check that lets a request pass where it carries the key, as `Authorization: Bearer KEY` or `?key=KEY`.
 * Throws `unauthorized`. The comparison takes the same time whatever was sent.
 */
export function requireKey(key: string): (request: FastifyRequest) => void {
  const wanted = digest(key);
  return (request) => {
    const given = keyOf(request);
    if (given === undefined || !timingSafeEqual(digest(given), wanted)) {
      throw new ClawdspaceError("unauthorized", "Unauthorized");
    }
  };
}

function keyOf(request: FastifyRequest): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1];
  if (bearer !== undefined) return bearer;
  const { key } = request.query as { key?: unknown };
  return typeof key === "string" ? key : undefined;
}
