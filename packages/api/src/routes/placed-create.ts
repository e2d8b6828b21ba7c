import {
  ClawdspaceError,
  type CreateSpaceRequest,
  ErrorBodySchema,
  type Placement,
  SpaceAnswerSchema,
} from "@clawdspace/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { disconnectSignal } from "../http/disconnect.js";
import { wantsNdjson } from "../http/ndjson.js";
import { neverSent } from "../nodes/node-forwarder.js";
import { type Peer, unreachable } from "../nodes/peer.js";
import { PeerFault } from "../nodes/peer-link.js";
import type { Services } from "../services.js";

/** Makes a space here; throws `insufficient_resources` where it was placed here and the room is gone meanwhile. */
type CreateHere = (placement: Placement) => Promise<void>;

/**
 * Makes a space on the node that the request names, or on the best one; where that has no room any more, on the next. The answer
 * says which it is and, with "auto", why not another.
 */
export async function createPlaced(
  { fleet, placing, forwarder }: Services,
  request: FastifyRequest<{ Body: CreateSpaceRequest }>,
  reply: FastifyReply,
  node: string,
  createHere: CreateHere,
): Promise<void> {
  const places = await placing.places(node, request.body);
  for (const [at, { peer, placement }] of places.entries()) {
    try {
      if (!peer) return await createHere(placement);
      return await createThere(peer, placement);
    } catch (error) {
      if (!(error instanceof ClawdspaceError)) throw error;
      const { code, message } = error;
      if (code === "node_unreachable" && !neverSent(error)) {
        // Made elsewhere too, there might be two of that name.
        const open = `${message} Whether it has made the space isn't known: look for "${request.body.name}" before you ask again.`;
        throw new ClawdspaceError(code, open, { cause: error });
      }
      const isFull = code === "insufficient_resources" || code === "node_unreachable";
      if (!isFull || at + 1 === places.length) throw error;
    }
  }

  async function createThere(peer: Peer, placement: Placement): Promise<void> {
    const { node: _node, placement: _needs, ...body } = request.body;
    const named = { ...body, node: node === "auto" ? "auto" : peer.machine.name };
    const signal = disconnectSignal(reply);
    const { reason = "it is gone", state } = peer;
    if (state !== "online") throw unreachable(peer, new PeerFault(state, reason));
    const answer = await forwarder.send(
      peer,
      {
        method: "POST",
        path: "/api/spaces",
        headers: [
          ...["content-type", "application/json"],
          ...(wantsNdjson(request) ? ["accept", request.headers.accept ?? ""] : []),
        ],
        body: Buffer.from(JSON.stringify(named)),
        identity: { actor: request.actor, from: request.ip, header: true },
      },
      signal,
    );
    if (wantsNdjson(request) && answer.status === 200) {
      reply.hijack();
      await forwarder.relay(peer, answer, reply.raw);
      await request.audit?.finish().catch(() => {});
      return;
    }
    const pieces = await answer.body.toArray().catch((cause: unknown) => {
      const message = `Node "${peer.machine.name}" broke off.`;
      throw new ClawdspaceError("node_unreachable", message, { cause });
    });
    const text = Buffer.concat(pieces).toString("utf8");
    const json: unknown = JSON.parse(text);
    const fault = ErrorBodySchema.safeParse(json);
    if (fault.success) {
      const { code, error, issues } = fault.data;
      throw new ClawdspaceError(code, error, issues ? { issues } : {});
    }
    const { space } = SpaceAnswerSchema.parse(json);
    fleet.learn(peer, space.name, true);
    await reply.status(201).send({ space: { ...space, node: peer.machine.name }, placement });
  }
}
