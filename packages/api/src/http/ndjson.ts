import { once } from "node:events";
import type { FastifyReply, FastifyRequest } from "fastify";
import { logError, toClawdspaceError } from "./errors.js";

export const NDJSON = "application/x-ndjson";

export const wantsNdjson = (request: FastifyRequest) =>
  (request.headers.accept ?? "").includes(NDJSON);

/**
 * Answers with one JSON value a line, at the client's pace. A failure before the first value is an ordinary HTTP error,
 * one after it a last line {type: "error", error, code}.
 */
export async function sendNdjson(
  request: FastifyRequest,
  reply: FastifyReply,
  values: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const iterator = values[Symbol.asyncIterator]();
  let next = await iterator.next();
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": `${NDJSON}; charset=utf-8`, "cache-control": "no-store" });
  try {
    while (!next.done && !signal.aborted) {
      if (!raw.write(`${JSON.stringify(next.value)}\n`)) await once(raw, "drain", { signal });
      next = await iterator.next();
    }
  } catch (error) {
    const known = toClawdspaceError(error);
    logError(request, known, error);
    if (!raw.destroyed) raw.write(`${JSON.stringify({ type: "error", ...known.toBody() })}\n`);
  } finally {
    await iterator.return?.();
    raw.end();
  }
}
