import { createHash } from "node:crypto";

/** What `rewriteUrl` makes of every request to a preview's own host, so that no other route can answer it. */
export const PREVIEW_HOST_ROUTE = "/.preview";

/** Of a DNS label's 63 characters, those left beside a port and its hyphen. */
const PLAIN_LENGTH = 57;
const PLAIN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const SLUG_LENGTH = 40;
const HASH_LENGTH = 10;
const LABEL = /^([1-9]\d{0,4})-(-?)([a-z0-9][a-z0-9-]*)$/;

/**
 * The part of a preview's host name that stands for a space. Host names know no case, no "_" and no more than 63
 * characters a label, names of spaces do. A name that is fine as it is stands for itself; any other becomes "-", what
 * can be read of it, and a hash of the exact name. No name that stands for itself begins with "-": they can't clash.
 */
export function toHostPart(space: string): string {
  if (space.length <= PLAIN_LENGTH && PLAIN.test(space)) return space;
  const slug = space
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, SLUG_LENGTH)
    .replace(/^-+|-+$/g, "");
  const hash = createHash("sha256").update(space).digest("hex").slice(0, HASH_LENGTH);
  return slug ? `-${slug}-${hash}` : `-${hash}`;
}

/** What a `Host` header asks for: a port of the space with that host part, or nothing that there could be ("none"). */
export type HostTarget = { port: number; hostPart: string } | "none";

/** undefined where the host is not below the preview domain, and so none of ours to answer. */
export function parsePreviewHost(host: string | undefined, domain: string): HostTarget | undefined {
  const name = host?.toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
  if (!name?.endsWith(`.${domain}`)) return undefined;
  const [, port = "", dash = "", rest = ""] = LABEL.exec(name.slice(0, -domain.length - 1)) ?? [];
  const hostPart = dash + rest;
  if (!port || Number(port) > 65535) return "none";
  return { port: Number(port), hostPart };
}
