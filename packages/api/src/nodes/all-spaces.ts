import { type Actor, ClawdspaceError, type SpaceList, SpaceListSchema } from "@clawdspace/protocol";
import { within } from "../within.js";
import type { Fleet } from "./fleet.js";
import { type Peer, unreachable } from "./peer.js";
import { toFault } from "./peer-link.js";

const LIST_MS = 3000;

/** The spaces of all nodes that answer in time, each with its node, and what is wrong with the nodes that don't. */
export async function allSpaces(
  fleet: Fleet,
  own: SpaceList["spaces"],
  who: { actor: Actor; from: string },
): Promise<SpaceList> {
  const request = { method: "GET", path: "/api/spaces", ...who, header: true };
  const asked = fleet.peers().filter(({ state }) => state === "online" || state === "offline");
  const answers = await Promise.all(
    asked.map(async (peer) => {
      const { name: node } = peer.machine;
      try {
        if (peer.state !== "online") throw unreachable(peer);
        const { spaces } = await peer.link.json(
          SpaceListSchema,
          request,
          within(LIST_MS, peer.gone.signal),
        );
        return { spaces: spaces.map((space) => ({ ...space, node })), errors: [] };
      } catch (error) {
        // One that has just fallen silent is waited for once only.
        if (peer.state === "online" && !(error instanceof ClawdspaceError)) void fleet.probe(peer);
        return { spaces: [], errors: [{ node, ...toBody(error, peer) }] };
      }
    }),
  );
  return {
    spaces: [
      ...own.map((space) => ({ ...space, node: fleet.name })),
      ...answers.flatMap(({ spaces }) => spaces),
    ],
    errors: answers.flatMap(({ errors }) => errors),
  };
}

function toBody(error: unknown, peer: Peer) {
  if (error instanceof ClawdspaceError) return error.toBody();
  const { message } = toFault(error, peer.machine.url);
  return new ClawdspaceError("node_unreachable", message).toBody();
}
