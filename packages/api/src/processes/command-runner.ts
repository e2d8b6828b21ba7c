import { ClawdspaceError, type ExecRequest } from "@clawdspace/protocol";
import { GuestError, type GuestOutput } from "../guest/types.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { ProcessHost } from "./process-host.js";
import type { ProcessHosts } from "./process-hosts.js";

export type ExecOutput =
  | { type: "stdout" | "stderr"; offset: number; data: Buffer }
  | { type: "exit"; exitCode: number; timedOut: boolean };

/** Runs a command as a process that is started, followed to its end and forgotten. */
export class CommandRunner {
  constructor(private readonly hosts: ProcessHosts) {}

  /**
   * Runs a command in a space that the caller keeps awake. Yields its output at the reader's pace, then its exit.
   * Whatever the command started is killed when `signal` aborts, when `timeoutMs` has passed, and when the reader leaves.
   * Throws `invalid_request` for a folder that isn't there, `forbidden` for the user.
   */
  async *run(
    entry: SpaceEntry,
    request: ExecRequest,
    signal: AbortSignal,
  ): AsyncGenerator<ExecOutput> {
    signal.throwIfAborted();
    const host = await this.hosts.of(entry, request.user);
    const stdin = stdinOf(request);
    const spec = await this.hosts.spec(entry, request);
    const run = host.run({ ...spec, stdin: stdin !== undefined, onFull: "block" });
    try {
      await run.started;
    } catch (error) {
      yield* notStarted(error, request);
      return;
    }
    yield* follow(host, run, { stdin, timeoutMs: request.timeoutMs, signal });
  }
}

interface FollowOptions {
  stdin: Buffer | undefined;
  timeoutMs: number | undefined;
  signal: AbortSignal;
}

async function* follow(
  host: ProcessHost,
  run: { id: string; output: AsyncIterable<GuestOutput> },
  { stdin, timeoutMs, signal }: FollowOptions,
): AsyncGenerator<ExecOutput> {
  let timedOut = false;
  let ended = false;
  const kill = () => void host.signal(run.id, "SIGKILL", "all").catch(() => {});
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          kill();
        }, timeoutMs);
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  if (stdin) {
    // A command that ends without reading its input is no error.
    void host
      .writeStdin(run.id, stdin)
      .then(() => host.closeStdin(run.id))
      .catch(() => {});
  }
  try {
    for await (const each of run.output) {
      if (each.type === "exit") {
        ended = true;
        yield { type: "exit", exitCode: each.exitCode, timedOut };
      } else if (each.type !== "dropped") {
        yield each;
      }
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", kill);
    if (!ended) kill();
    void host.forget(run.id).catch(() => {});
  }
}

function stdinOf(request: ExecRequest): Buffer | undefined {
  if (request.stdin !== undefined) return Buffer.from(request.stdin, "utf8");
  if (request.stdinBase64 !== undefined) return Buffer.from(request.stdinBase64, "base64");
  return undefined;
}

/** A program that can't be started ends the way a shell would say it: 127 not found, 126 not executable. */
function* notStarted(error: unknown, request: ExecRequest): Generator<ExecOutput> {
  if (!(error instanceof GuestError) || (error.code !== "not_found" && error.code !== "permission"))
    throw error;
  if (error.details.step === "cwd") {
    throw new ClawdspaceError(
      "invalid_request",
      `The folder "${request.cwd}" can't be used: ${error.message}`,
      {
        issues: [{ path: "cwd", message: error.message }],
      },
    );
  }
  if (error.details.step !== "exec") throw error;
  const missing = error.code === "not_found";
  const data = Buffer.from(
    `${request.command[0]}: ${missing ? "command not found" : "permission denied"}\n`,
  );
  yield { type: "stderr", offset: 0, data };
  yield { type: "exit", exitCode: missing ? 127 : 126, timedOut: false };
}
