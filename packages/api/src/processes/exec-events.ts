import { StringDecoder } from "node:string_decoder";
import type { ExecEvent, ExecRequest } from "@clawdspace/protocol";
import type { ExecOutput } from "./command-runner.js";
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
    stdout: { decoder: new StringDecoder(encoding), left: maxOutputBytes, cut: 0 },
    stderr: { decoder: new StringDecoder(encoding), left: maxOutputBytes, cut: 0 },
  };
  let end = 0;
  for await (const each of output) {
    if (each.type === "started") continue;
    if (each.type === "paused" || each.type === "resumed") {
      yield each;
    } else if (each.type !== "exit") {
      const stream = streams[each.type];
      const piece = each.data.subarray(0, stream.left);
      stream.left -= piece.length;
      stream.cut += each.data.length - piece.length;
      end = each.offset + each.data.length;
      const data = stream.decoder.write(piece);
      if (data) yield { type: each.type, data, offset: each.offset };
    }
    if (each.type !== "exit") continue;
    for (const type of ["stdout", "stderr"] as const) {
      const data = streams[type].decoder.end();
      if (data) yield { type, data, offset: end };
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
