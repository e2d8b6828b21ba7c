import type { AuditEvent, AuditFilter } from "@clawdspace/client";
import { duration, whole } from "../args.js";
import type { Context } from "../context.js";
import type { Output } from "../output.js";

interface Options extends AuditFilter {
  follow?: boolean;
  limit?: string;
}

export async function run(context: Context, _: [], options: Options): Promise<undefined> {
  const { out, signal } = context;
  const { follow, limit = "50", since, until, ...rest } = options;
  const filter = { ...rest, since: time(since), until: time(until) };
  const { audit } = await context.clawdspace();
  if (limit === "all" && !follow) {
    for await (const event of audit.stream(filter, { signal })) show(out, event);
    return;
  }
  const { events } = await audit.query({ ...filter, limit: whole("--limit", limit) });
  if (out.isJson && !follow) {
    out.result({ events }, () => undefined);
    return;
  }
  for (const event of events) show(out, event);
  if (!follow) return;
  const after = events.at(-1)?.id;
  const more = audit.follow(filter, { ...(after === undefined ? {} : { after }), signal });
  for await (const event of more) show(out, event);
}

function show(out: Output, event: AuditEvent): void {
  out.line(event, () => {
    const { id, ts, type, space = "", actor = "", meta } = event;
    const more = meta ? out.paint("dim", JSON.stringify(meta)) : "";
    return `${id}  ${out.paint("dim", ts)}  ${type.padEnd(18)}  ${space}  ${actor}  ${more}`;
  });
}

/** A time as it is, or an age such as "2h" as the time that long ago. */
function time(text: string | undefined): string | undefined {
  if (text === undefined || !/^\d+(ms|s|m|h|d)$/.test(text)) return text;
  return new Date(Date.now() - duration("--since", text)).toISOString();
}
