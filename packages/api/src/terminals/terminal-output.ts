import type { GuestOutput } from "../guest/types.js";
import { toReplay } from "./replay.js";

export type TerminalOutput = { type: "data"; data: Buffer } | { type: "end"; reason: string };

/** Ends a control sequence that lost its rest, and the colours that are on. */
const CANCEL = "\x18\x1b[0m";

/**
 * A process's output as a terminal shows it. What was printed before the terminal attached (from `from` to `attachedAt`)
 * comes in one piece, made harmless to be shown again.
 */
export async function* toTerminalOutput(
  output: AsyncIterable<GuestOutput>,
  { from, attachedAt }: { from: number; attachedAt: number },
): AsyncGenerator<TerminalOutput> {
  const old: Buffer[] = [];
  let cut = from > 0;
  let at = from;
  for await (const each of output) {
    const gathering = at < attachedAt;
    if (each.type === "exit") {
      if (gathering) yield { type: "data", data: toReplay(Buffer.concat(old), cut) };
      const how = each.signal ? `ended by ${each.signal}` : `exited with code ${each.exitCode}`;
      yield { type: "end", reason: how };
      return;
    }
    if (each.type === "dropped") {
      at = each.offset + each.bytes;
      old.length = 0;
      cut = true;
      if (gathering) continue;
      const note = `${CANCEL}\r\n[${each.bytes} bytes of output are not shown]\r\n`;
      yield { type: "data", data: Buffer.from(note) };
      continue;
    }
    at = each.offset + each.data.length;
    if (!gathering) {
      yield { type: "data", data: each.data };
      continue;
    }
    const fresh = Math.max(0, at - attachedAt);
    old.push(each.data.subarray(0, each.data.length - fresh));
    if (at < attachedAt) continue;
    yield { type: "data", data: toReplay(Buffer.concat(old), cut) };
    old.length = 0;
    if (fresh > 0) yield { type: "data", data: each.data.subarray(-fresh) };
  }
}
