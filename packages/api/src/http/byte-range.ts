import { ClawdspaceError } from "@clawdspace/protocol";

/**
 * The one range of bytes that a Range header asks of something of `size` bytes (RFC 9110, 14.1.2); undefined where all of
 * it is to be sent: without the header, with one that makes no sense, and with several ranges.
 * Throws `range_not_satisfiable`.
 */
export function byteRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | undefined {
  const [, first = "", last = ""] =
    /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(Number(last) + 1, size);
  if (start < end) return { start, end };
  throw new ClawdspaceError(
    "range_not_satisfiable",
    `The range "${header}" lies outside the ${size} bytes there are.`,
  );
}
