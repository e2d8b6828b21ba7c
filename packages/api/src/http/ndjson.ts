import { once } from "node:events";
import type { FastifyReply, FastifyRequest } from "fastify";
import { logError, toClawdspaceError } from "./errors.js";

export const NDJSON = "application/x-ndjson";

const KEEP_ALIVE_MS = 15_000;

export const wantsNdjson = (request: FastifyRequest) =>
  (request.headers.accept ?? "").includes(NDJSON);

/**
 * Answers with one JSON value a line, at the client's pace. A failure before the first value is an ordinary HTTP error,
 * one after it a last line {type: "error", error, code}. A value that is undefined is no line: as the first one it lets
 * the headers go out before there is anything to say.
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
  raw.flushHeaders();
  // A client that vanished without a word is found by the kernel, also while there is nothing to send.
  raw.socket?.setKeepAlive(true, KEEP_ALIVE_MS);
  try {
    while (!next.done && !signal.aborted) {
      await request.audit?.line(next.value);
      const line = next.value === undefined ? undefined : `${JSON.stringify(next.value)}\n`;
      if (line && !raw.write(line)) await once(raw, "drain", { signal });
      next = await iterator.next();
    }
  } catch (error) {
    const known = toClawdspaceError(error);
    logError(request, known, error);
    const line = { type: "error", ...known.toBody() };
    await request.audit?.line(line).catch(() => {});
    if (!raw.destroyed) raw.write(`${JSON.stringify(line)}\n`);
  } finally {
    await iterator.return?.();
    raw.end();
  }
}
