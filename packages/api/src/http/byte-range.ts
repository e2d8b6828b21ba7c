import { ClawdspaceError } from "@clawdspace/protocol";
import parseRange from "range-parser";

/**
 * The one range of bytes that a Range header asks of something of `size` bytes; undefined where all of it is to be sent:
 * without the header, with one that makes no sense, and with several ranges. Throws `range_not_satisfiable`.
 */
export function byteRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | undefined {
  if (header === undefined) return undefined;
  const ranges = parseRange(size, header);
  if (ranges === -1) {
    throw new ClawdspaceError(
      "range_not_satisfiable",
      `The range "${header}" lies outside the ${size} bytes there are.`,
    );
  }
  const [range] = ranges === -2 || ranges.type !== "bytes" ? [] : ranges;
  if (!range || (ranges !== -2 && ranges.length > 1)) return undefined;
  return { start: range.start, end: range.end + 1 };
}
