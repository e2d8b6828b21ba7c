import { once } from "node:events";
import type { FastifyReply, FastifyRequest } from "fastify";
import { logError, toClawdspaceError } from "./errors.js";

/** So that whatever stands between keeps the connection, and a reader that is gone is noticed. */
const HEARTBEAT_MS = 15_000;

/**
 * Answers with server-sent events, named by their `type`, at the client's pace; one with an `id` can be resumed after. The
 * last one is "closed", with the reason where there is one.
 */
export async function sendEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  rounds: AsyncIterable<{ type: string; id?: string }[]>,
  signal: AbortSignal,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    ...headersOf(reply),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  const heartbeat = setInterval(() => {
    if (raw.writableLength === 0) raw.write(":\n\n");
  }, HEARTBEAT_MS);
  const write = async (text: string) => {
    if (!raw.write(text)) await once(raw, "drain", { signal });
  };
  try {
    await write(":\n\n");
    for await (const round of rounds) {
      if (signal.aborted) break;
      await write(round.map(toText).join(""));
    }
    if (!raw.destroyed) raw.write(toText({ type: "closed" }));
  } catch (error) {
    const known = toClawdspaceError(error);
    logError(request, known, error);
    if (!raw.destroyed) raw.write(toText({ type: "closed", ...known.toBody() }));
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}

const toText = (event: { type: string; id?: string }) =>
  `${event.id === undefined ? "" : `id: ${event.id}\n`}event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

function headersOf(reply: FastifyReply): Record<string, string | string[]> {
  const entries = Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value : String(value)] as const],
  );
  return Object.fromEntries(entries);
}
