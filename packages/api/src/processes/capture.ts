import { DEFAULT_MAX_OUTPUT_BYTES, type ExecRequest, type ExecResult } from "@clawdspace/protocol";
import type { ExecOutput } from "./command-runner.js";

/** Keeps the first `limit` bytes of a stream and counts the rest. */
class Capture {
  readonly #pieces: Buffer[] = [];
  #kept = 0;
  truncatedBytes = 0;

  constructor(private readonly limit: number) {}

  add(data: Buffer): void {
    const piece = data.subarray(0, this.limit - this.#kept);
    // A copy, since a small piece would keep the large buffer alive that it was cut from.
    if (piece.length > 0) this.#pieces.push(Buffer.from(piece));
    this.#kept += piece.length;
    this.truncatedBytes += data.length - piece.length;
  }

  bytes = () => Buffer.concat(this.#pieces);
}

/**
 * Collects a command's output for the buffered answer: whole, or cut at `maxOutputBytes` a stream and counted.
 * As text, stdout comes without its trailing newline.
 */
export async function captureExec(
  output: AsyncIterable<ExecOutput>,
  {
    maxOutputBytes = DEFAULT_MAX_OUTPUT_BYTES,
    encoding = "utf8",
  }: Pick<ExecRequest, "maxOutputBytes" | "encoding">,
): Promise<ExecResult> {
  const stdout = new Capture(maxOutputBytes);
  const stderr = new Capture(maxOutputBytes);
  let exit = { exitCode: -1, timedOut: false };
  for await (const each of output) {
    if (each.type === "exit") exit = each;
    else (each.type === "stdout" ? stdout : stderr).add(each.data);
  }
  const text = stdout.bytes().toString(encoding);
  return {
    stdout: encoding === "utf8" && stdout.truncatedBytes === 0 ? text.replace(/\r?\n$/, "") : text,
    stderr: stderr.bytes().toString(encoding),
    exitCode: exit.exitCode,
    ...(exit.timedOut ? { timedOut: true } : {}),
    ...(stdout.truncatedBytes ? { stdoutTruncatedBytes: stdout.truncatedBytes } : {}),
    ...(stderr.truncatedBytes ? { stderrTruncatedBytes: stderr.truncatedBytes } : {}),
  };
}
