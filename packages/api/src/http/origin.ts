import { isIP } from "node:net";
import { hostname } from "node:os";
import { ClawdspaceError } from "@clawdspace/protocol";
import type { FastifyRequest } from "fastify";

/**
 * A browser's request must come from our own page where it changes something or opens a WebSocket. Throws `forbidden`.
 */
export function checkOrigin({ method, headers }: FastifyRequest): void {
  const reads = method === "GET" || method === "HEAD";
  const { origin, host, upgrade } = headers;
  if (reads && upgrade === undefined) return;
  if (origin !== undefined && URL.canParse(origin) && new URL(origin).host === host) return;
  throw new ClawdspaceError("forbidden", "This request came from another site's page.");
}

/**
 * A name that somebody else's DNS leads here makes their page look like ours, so that without keys only addresses and this
 * machine's own names will do. Throws `forbidden`.
 */
export function checkOwnHost({ headers }: FastifyRequest): void {
  const name = (headers.host ?? "")
    .replace(/:\d+$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
  const host = hostname().toLowerCase();
  // Names below ts.net lead to machines of the tailnet only.
  const own =
    ["localhost", host, `${host}.local`].includes(name) || /\.(localhost|ts\.net)$/.test(name);
  if (own || isIP(name)) return;
  throw new ClawdspaceError(
    "forbidden",
    `Without keys this daemon answers to its addresses and its own names only, not to "${name}".`,
  );
}
