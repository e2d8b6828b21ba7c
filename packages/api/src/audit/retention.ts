import { parseSize } from "@clawdspace/protocol";

const UNITS = { h: 3600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;

/** How much of the log is kept; what is undefined is no limit. */
export interface Retention {
  maxAgeMs?: number;
  maxBytes?: number;
}

/**
 * Reads CLAWDSPACE_AUDIT_KEEP: "all", an age in hours, days or weeks ("72h", "90d", "12w"), or a size on disk ("500m", "5g").
 * undefined where the text is none of these.
 */
export function parseRetention(text: string): Retention | undefined {
  if (text === "" || text === "all") return {};
  const [, amount, unit] = /^(\d+)([hdw])$/.exec(text) ?? [];
  if (amount && (unit === "h" || unit === "d" || unit === "w"))
    return { maxAgeMs: Number(amount) * UNITS[unit] };
  const maxBytes = /^[\d.]+[kmgt]$/i.test(text) ? parseSize(text) : undefined;
  return maxBytes === undefined ? undefined : { maxBytes };
}

/** How many of the oldest full segments are let go. @param segments oldest first. */
export function expired(
  segments: readonly { bytes: number; maxTime: number }[],
  retention: Retention,
  now: number,
): number {
  const { maxAgeMs = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY } = retention;
  let bytes = segments.reduce((total, segment) => total + segment.bytes, 0);
  let count = 0;
  for (const segment of segments) {
    if (segment.maxTime >= now - maxAgeMs && bytes <= maxBytes) break;
    bytes -= segment.bytes;
    count++;
  }
  return count;
}
