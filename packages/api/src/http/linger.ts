import type { FastifyReply, FastifyRequest } from "fastify";

/** How long a sender gets to notice that it was refused. */
const LINGER_MS = 2000;

/**
 * Answers for a body that is not read to its end: the connection takes no further request, and is closed a moment after
 * the answer. Closing at once would let the sender's unread bytes destroy the answer on its way.
 */
export function refuseRest(request: FastifyRequest, reply: FastifyReply): void {
  const { raw } = request;
  if (raw.complete) return;
  reply.header("connection", "close");
  reply.raw.once("finish", () => {
    raw.resume();
    setTimeout(() => raw.destroy(), LINGER_MS).unref();
  });
}
