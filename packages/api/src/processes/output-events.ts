import { isUtf8 } from "node:buffer";
import type { ProcessOutputEvent } from "@clawdspace/protocol";
import type { GuestOutput } from "../guest/types.js";
import { unfinishedBytes } from "./utf8.js";

interface Piece {
  type: "stdout" | "stderr";
  offset: number;
  data: Buffer;
}

interface Limits {
  encoding: "utf8" | "base64";
  /** The answer ends with the first piece that reaches this offset, unless the process has ended by then. */
  until: number;
  from: number;
}

/**
 * A process's output as the events of the streamed answer, so that no byte is lost or told twice over any number of
 * answers: text comes in whole characters, and what is no UTF-8 as base64.
 */
export async function* toOutputEvents(
  output: AsyncIterable<GuestOutput>,
  { encoding, until, from }: Limits,
): AsyncGenerator<ProcessOutputEvent> {
  let held: Piece | undefined;
  let at = from;
  if (at >= until) {
    yield { type: "more", offset: at };
    return;
  }
  for await (const each of output) {
    const piece = each.type === "stdout" || each.type === "stderr" ? each : undefined;
    if (held && held.type !== piece?.type) {
      yield asBase64(held);
      held = undefined;
    }
    if (piece) {
      at = piece.offset + piece.data.length;
      const whole = held ? { ...held, data: Buffer.concat([held.data, piece.data]) } : piece;
      held = undefined;
      if (encoding === "base64") {
        yield asBase64(whole);
      } else {
        const end = whole.data.length - unfinishedBytes(whole.data);
        if (end < whole.data.length) {
          held = {
            ...whole,
            offset: whole.offset + end,
            data: Buffer.from(whole.data.subarray(end)),
          };
        }
        if (end > 0) yield asText({ ...whole, data: whole.data.subarray(0, end) });
      }
    } else if (each.type === "dropped") {
      at = each.offset + each.bytes;
      yield { type: "dropped", offset: each.offset, bytes: each.bytes };
    } else if (each.type === "exit") {
      yield {
        type: "exit",
        offset: each.offset,
        exitCode: each.exitCode,
        ...(each.signal ? { signal: each.signal } : {}),
      };
      return;
    }
    if (at >= until) break;
  }
  yield { type: "more", offset: held?.offset ?? at };
}

const asBase64 = ({ type, offset, data }: Piece) =>
  ({ type, offset, data: data.toString("base64"), encoding: "base64" }) as const;

function asText(piece: Piece): ProcessOutputEvent {
  if (!isUtf8(piece.data)) return asBase64(piece);
  return { type: piece.type, offset: piece.offset, data: piece.data.toString("utf8") };
}
