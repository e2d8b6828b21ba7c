import type { ExecEvent, ExecRequest } from "@clawdspace/protocol";
import type { ExecOutput } from "./command-runner.js";
import { Pieces } from "./pieces.js";
import type { PauseEvent } from "./with-pauses.js";

/**
 * A command's output as the events of the streamed answer. Text is never split inside a character: the bytes of an
 * unfinished one wait for the next piece. `maxOutputBytes`, where given, cuts each stream and counts the rest.
 */
export async function* toExecEvents(
  output: AsyncIterable<ExecOutput | PauseEvent>,
  {
    maxOutputBytes = Number.POSITIVE_INFINITY,
    encoding = "utf8",
  }: Pick<ExecRequest, "maxOutputBytes" | "encoding">,
): AsyncGenerator<ExecEvent> {
  const streams = {
    stdout: { pieces: new Pieces(encoding), left: maxOutputBytes, cut: 0 },
    stderr: { pieces: new Pieces(encoding), left: maxOutputBytes, cut: 0 },
  };
  for await (const each of output) {
    if (each.type === "started") continue;
    if (each.type === "paused" || each.type === "resumed") {
      yield each;
    } else if (each.type !== "exit") {
      const stream = streams[each.type];
      const piece = each.data.subarray(0, stream.left);
      stream.left -= piece.length;
      stream.cut += each.data.length - piece.length;
      const complete = stream.pieces.add(each.offset, piece);
      if (complete) yield { type: each.type, ...complete };
    }
    if (each.type !== "exit") continue;
    for (const type of ["stdout", "stderr"] as const) {
      const rest = streams[type].pieces.end();
      if (rest) yield { type, ...rest };
    }
    yield {
      type: "exit",
      exitCode: each.exitCode,
      ...(each.timedOut ? { timedOut: true } : {}),
      ...(streams.stdout.cut ? { stdoutTruncatedBytes: streams.stdout.cut } : {}),
      ...(streams.stderr.cut ? { stderrTruncatedBytes: streams.stderr.cut } : {}),
    };
  }
}
