import type { FastifyRequest } from "fastify";
import type { Conditions, Etags } from "../files/conditions.js";

/** The conditions of a request's If-Match and If-None-Match. */
export function conditionsOf(request: FastifyRequest): Conditions {
  return {
    ifMatch: etagsOf(request.headers["if-match"]),
    ifNoneMatch: etagsOf(request.headers["if-none-match"]),
  };
}

/** What a header's list of etags names. Quotes may be missing; a weak etag is taken for its strong one. */
export function etagsOf(header: string | undefined): Etags | undefined {
  if (header === undefined) return undefined;
  if (header.trim() === "*") return "*";
  return header
    .split(",")
    .map((each) =>
      each
        .trim()
        .replace(/^W\//, "")
        .replace(/^"(.*)"$/, "$1"),
    )
    .filter((each) => each !== "");
}

/** The ETag header; none where there is no etag, or none that a header could carry. */
export const etagHeader = (etag: string | undefined): Record<string, string> =>
  etag !== undefined && /^[\x21\x23-\x7e]{1,128}$/.test(etag) ? { etag: `"${etag}"` } : {};
