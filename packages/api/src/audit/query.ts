import type { AuditEvent } from "@clawdspace/protocol";
import { type AuditFilter, Matcher } from "./filter.js";
import type { Segment } from "./segment.js";

/**
 * The newest `limit` events that a filter asks for, oldest first. Reads from the log's end and only blocks whose index
 * says that they may hold one, one after another.
 */
export async function newest(
  segments: readonly Segment[],
  filter: AuditFilter,
  limit: number,
): Promise<AuditEvent[]> {
  const matcher = new Matcher(filter);
  const found: AuditEvent[] = [];
  for (const segment of segments.toReversed()) {
    if (!segment.span || !matcher.reaches(segment.span)) continue;
    const source = await segment.open();
    try {
      for (let at = (source?.index.count ?? 0) - 1; at >= 0; at--) {
        if (!source || !matcher.mayHold(source.index, at)) continue;
        const lines = (await source.read(at)).toString("utf8").split("\n");
        for (const line of lines.reverse()) {
          const event = matcher.match(line);
          if (event) found.push(event);
          if (found.length === limit) return found.reverse();
        }
      }
    } finally {
      await source?.close();
    }
  }
  return found.reverse();
}

/** All lines that a filter asks for, as they are in the log, oldest first, a block's worth at a time. */
export async function* lines(
  segments: readonly Segment[],
  filter: AuditFilter,
): AsyncGenerator<string> {
  const matcher = new Matcher(filter);
  for (const segment of segments) {
    if (!segment.span || !matcher.reaches(segment.span)) continue;
    const source = await segment.open();
    try {
      for (let at = 0; at < (source?.index.count ?? 0); at++) {
        if (!source || !matcher.mayHold(source.index, at)) continue;
        const matching = (await source.read(at))
          .toString("utf8")
          .split("\n")
          .filter((line) => matcher.match(line) !== undefined);
        if (matching.length > 0) yield `${matching.join("\n")}\n`;
      }
    } finally {
      await source?.close();
    }
  }
}
