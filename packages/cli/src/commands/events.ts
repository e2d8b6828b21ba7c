import type { Event } from "@clawdspace/client";
import type { Context } from "../context.js";

interface Options {
  space?: string;
  type?: Event["type"][];
  since?: string;
}

export async function run(context: Context, _: [], options: Options): Promise<undefined> {
  const { out, signal } = context;
  const clawdspace = await context.clawdspace();
  const events = clawdspace.events({
    space: options.space,
    types: options.type,
    lastEventId: options.since,
    signal,
    onState: (state) => state === "reconnecting" && out.note("(connection lost; going on)"),
  });
  for await (const event of events) {
    out.line(event, () => {
      const { ts, type, space = "", actor = "", data } = event;
      const more = data && Object.keys(data).length > 0 ? ` ${JSON.stringify(data)}` : "";
      return `${out.paint("dim", ts)}  ${type.padEnd(18)}  ${space}  ${out.paint("dim", actor + more)}`;
    });
  }
}
