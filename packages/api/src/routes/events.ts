import { type Actor, type Event, type EventsQuery, EventsQuerySchema } from "@clawdspace/protocol";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import type { EventBus } from "../events/event-bus.js";
import { checkSpace, maySee } from "../http/access.js";
import { disconnectSignal } from "../http/disconnect.js";
import { sendEvents } from "../http/sse.js";
import type { Services } from "../services.js";

export const eventRoutes =
  ({ events }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const closing = new AbortController();
    app.addHook("preClose", async () => closing.abort());

    app.get("/", { schema: { querystring: EventsQuerySchema } }, async (request, reply) => {
      const { actor, query, headers } = request;
      if (query.space !== undefined) checkSpace(actor, query.space);
      const header = headers["last-event-id"];
      const from = (typeof header === "string" ? header : query.lastEventId) ?? events.lastId;
      const gone = disconnectSignal(reply);
      const until = AbortSignal.any([gone, closing.signal]);
      const wanted = (event: Event) => isWanted(event, query, actor);
      await sendEvents(request, reply, rounds(events, from, wanted, until), gone);
    });
  };

async function* rounds(
  events: EventBus,
  from: string,
  wanted: (event: Event) => boolean,
  until: AbortSignal,
): AsyncGenerator<Event[]> {
  for await (const batch of events.follow(from, until)) {
    const round = batch.filter(wanted);
    if (round.length > 0) yield round;
  }
}

function isWanted(event: Event, { space, types }: EventsQuery, actor: Actor): boolean {
  if (event.type === "stream.reset") return true;
  if (space !== undefined && event.space !== space) return false;
  if (types !== undefined && !types.includes(event.type)) return false;
  return event.space === undefined ? actor.spaces === undefined : maySee(actor, event.space);
}
