import { outputBytes } from "@clawdspace/client";
import { whole } from "../args.js";
import type { Context } from "../context.js";
import { findProcess } from "../find-process.js";
import { write } from "../output.js";

export async function run(
  context: Context,
  [name, wanted]: [string, string],
  { follow, from }: { follow?: boolean; from?: string },
): Promise<undefined> {
  const { out, signal } = context;
  const space = await context.space(name);
  const { id } = await findProcess(space, wanted);
  const events = space.processes.output(id, {
    follow: follow === true,
    from: from === undefined ? 0 : whole("--from", from),
    signal,
    encoding: out.isJson ? "utf8" : "base64",
    onState: (state) => state === "reconnecting" && out.note("(connection lost; going on)"),
  });
  for await (const event of events) {
    if (out.isJson) out.line(event, () => "");
    else if (event.type === "stdout" || event.type === "stderr") {
      await write(process[event.type], outputBytes(event));
    } else if (event.type === "dropped") out.note(`(${event.bytes} bytes are not kept any more)`);
  }
}
