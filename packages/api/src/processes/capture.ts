import { DEFAULT_MAX_OUTPUT_BYTES, type ExecRequest, type ExecResult } from "@clawdspace/protocol";
import type { ExecOutput } from "./command-runner.js";
import { unfinishedBytes } from "./utf8.js";

const FIRST_BYTES = 4096;

/** Keeps the first `limit` bytes of a stream, in one buffer however small the pieces are, and counts the rest. */
class Capture {
  #buffer = Buffer.alloc(0);
  #kept = 0;
  truncatedBytes = 0;

  constructor(private readonly limit: number) {}

  add(data: Buffer): void {
    const piece = data.subarray(0, this.limit - this.#kept);
    this.truncatedBytes += data.length - piece.length;
    const needed = this.#kept + piece.length;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2, FIRST_BYTES));
      this.#buffer.copy(grown, 0, 0, this.#kept);
      this.#buffer = grown;
    }
    piece.copy(this.#buffer, this.#kept);
    this.#kept = needed;
  }

  /** What was kept; of text that was cut, whole characters only. */
  text(encoding: "utf8" | "base64"): string {
    const bytes = this.#buffer.subarray(0, this.#kept);
    if (encoding === "base64" || this.truncatedBytes === 0) return bytes.toString(encoding);
    const unfinished = unfinishedBytes(bytes);
    this.truncatedBytes += unfinished;
    return bytes.toString("utf8", 0, bytes.length - unfinished);
  }
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
    else if (each.type === "stdout") stdout.add(each.data);
    else if (each.type === "stderr") stderr.add(each.data);
  }
  const cut = stdout.truncatedBytes > 0;
  const text = stdout.text(encoding);
  return {
    stdout: encoding === "utf8" && !cut ? text.replace(/\r?\n$/, "") : text,
    stderr: stderr.text(encoding),
    exitCode: exit.exitCode,
    ...(exit.timedOut ? { timedOut: true } : {}),
    ...(stdout.truncatedBytes ? { stdoutTruncatedBytes: stdout.truncatedBytes } : {}),
    ...(stderr.truncatedBytes ? { stderrTruncatedBytes: stderr.truncatedBytes } : {}),
  };
}
