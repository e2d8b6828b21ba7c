import { setTimeout as delay } from "node:timers/promises";
import { ClawdspaceError, type ExecRequest } from "@clawdspace/protocol";
import { EngineError } from "../engine/engine.js";
import { GuestError, type GuestRun } from "../guest/types.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { awakeTimeout, untilAwake } from "./awake.js";
import type { ProcessHost } from "./process-host.js";
import type { ProcessHosts } from "./process-hosts.js";
import { encodeMeta } from "./process-meta.js";
import { saidInstead } from "./start-failure.js";

export type ExecOutput =
  | { type: "started"; id: string; pid: number }
  | { type: "stdout" | "stderr"; offset: number; data: Buffer }
  | { type: "exit"; exitCode: number; timedOut: boolean };

/** What was killed is given this long, awake, to be gone; one that hangs in the kernel holds nobody up any longer. */
const KILLED_MS = 5000;
const KILL_TRIES = 10;
const KILL_AGAIN_MS = 500;

/** Runs a command as a process that is started, followed to its end and forgotten. */
export class CommandRunner {
  constructor(private readonly hosts: ProcessHosts) {}

  /**
   * Runs a command in a space that the caller keeps awake. Yields its start, its output at the reader's pace, its exit.
   * Whatever the command started is killed when `signal` aborts, when `timeoutMs` has passed (of the time that the
   * space is awake), and when the reader leaves; what a command that ended by itself left behind goes on.
   * Throws `invalid_request` for a folder that isn't there, `forbidden` for the user, `wrong_state` where the space goes.
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
    const meta = encodeMeta({
      kind: "exec",
      command: request.command,
      cwd: spec.cwd,
      user: request.user ?? "sandbox",
    });
    const release = entry.hold();
    const reading = new AbortController();
    const stopReading = () => reading.abort();
    signal.addEventListener("abort", stopReading, { once: true });
    const run = host.run(
      { ...spec, stdin: stdin !== undefined, onFull: "block", meta },
      reading.signal,
    );
    let over = false;
    let timedOut = false;
    let gaveUp = false;
    let stopClock = () => {};
    try {
      const { pid } = await orAborted(run.started, signal);
      if (request.timeoutMs !== undefined) {
        stopClock = awakeTimeout(entry, request.timeoutMs, () => {
          timedOut = true;
          void kill(entry, host, run);
          stopClock = awakeTimeout(entry, KILLED_MS, () => {
            gaveUp = true;
            stopReading();
          });
        });
      }
      if (stdin) feed(host, run.id, stdin);
      yield { type: "started", id: run.id, pid };
      for await (const each of run.output) {
        if (each.type === "exit") {
          over = true;
          yield { type: "exit", exitCode: each.exitCode, timedOut };
        } else if (each.type !== "dropped") {
          yield each;
        }
      }
    } catch (error) {
      const said = saidInstead(error, request);
      if (said) {
        over = true;
        stopReading();
        yield* said;
      } else if (gaveUp) {
        yield { type: "exit", exitCode: 137, timedOut };
      } else {
        throw explain(error, entry, signal);
      }
    } finally {
      stopClock();
      signal.removeEventListener("abort", stopReading);
      if (!over) stopReading();
      const done = over ? Promise.resolve() : kill(entry, host, run);
      void done
        .then(() => host.forget(run.id))
        .catch(() => {})
        .finally(release);
    }
  }
}

/** Ends everything that a command started, as soon as the space is awake; nothing wakes for it. */
async function kill(entry: SpaceEntry, host: ProcessHost, run: GuestRun): Promise<void> {
  const started = await run.started.then(
    () => true,
    () => false,
  );
  for (let tries = 0; started && tries < KILL_TRIES; tries++) {
    if (!(await untilAwake(entry))) return;
    try {
      await host.signal(run.id, "SIGKILL", "all");
      return;
    } catch (error) {
      if (error instanceof GuestError && GONE.has(error.code)) return;
    }
    await delay(KILL_AGAIN_MS);
  }
}

const GONE = new Set(["closed", "not_found"]);

function feed(host: ProcessHost, id: string, stdin: Buffer): void {
  // A command that ends without reading its input is no error.
  void (async () => {
    if (stdin.length > 0) await host.writeStdin(id, stdin);
    await host.closeStdin(id);
  })().catch(() => {});
}

function stdinOf(request: ExecRequest): Buffer | undefined {
  if (request.stdin !== undefined) return Buffer.from(request.stdin, "utf8");
  if (request.stdinBase64 !== undefined) return Buffer.from(request.stdinBase64, "base64");
  return undefined;
}

async function orAborted<T>(task: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new ClawdspaceError("cancelled", "The client went away."));
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([task, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** What the end of a space looks like to what ran in it, in the words of the product. */
function explain(error: unknown, entry: SpaceEntry, signal: AbortSignal): unknown {
  if (signal.aborted) return new ClawdspaceError("cancelled", "The client went away.");
  const gone =
    (error instanceof GuestError && error.code === "closed") ||
    (error instanceof EngineError && (error.kind === "not_found" || error.kind === "conflict"));
  if (!gone) return error;
  return new ClawdspaceError(
    "wrong_state",
    `Space "${entry.name}" was stopped or removed while the command ran.`,
    { cause: error },
  );
}
