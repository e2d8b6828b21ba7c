// One command in a space, as a process of this machine: the host starts it for a sandboxed agent's command and deals with
// its input, output, exit code and end as with any other.
import { Clawdspace, ClawdspaceError, outputBytes, type SpaceHandle } from "@clawdspace/client";
import { type ExecRequest, takeRequest } from "./request.js";

/** As of `docker run`: the command itself was not run, or was lost. */
const FAILED = 125;
const TIMED_OUT = 124;
const INTERRUPTED = 143;
const TERMINAL_SIZE = { cols: 120, rows: 30 };

interface Exit {
  exitCode: number;
  timedOut?: boolean | undefined;
}

const over = new AbortController();
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.once(signal, () => over.abort());
}
process.stdout.on("error", () => over.abort());

process.exitCode = await run(takeRequest(process.env)).catch((error: unknown) => {
  if (over.signal.aborted) return INTERRUPTED;
  const code = error instanceof ClawdspaceError ? ` (${error.code})` : "";
  process.stderr.write(`clawdspace: ${error instanceof Error ? error.message : error}${code}\n`);
  return FAILED;
});
// A host's pipe that stays open for input must not keep this process.
process.stdin.destroy();

async function run(request: ExecRequest): Promise<number> {
  const { baseUrl, key } = request;
  const space = new Clawdspace({ baseUrl, key }).space(request.space);
  const { exitCode, timedOut } = await (request.terminalTag === undefined
    ? runPlain(space, request)
    : runInTerminal(space, request, request.terminalTag));
  return timedOut ? TIMED_OUT : exitCode;
}

/** Ends with its connection, however this process goes. */
async function runPlain(space: SpaceHandle, { command, cwd, env }: ExecRequest): Promise<Exit> {
  const options = { cwd, env, encoding: "base64", signal: over.signal } as const;
  for await (const event of space.exec(command, options)) {
    if (event.type === "exit") return event;
    if (event.type === "stdout" || event.type === "stderr") {
      await write(process[event.type], Buffer.from(event.data, "base64"));
    }
  }
  throw new Error("the command's output ended before the command did");
}

/** Takes input. By the tag, the host's side ends what is left where this process was killed. */
async function runInTerminal(
  { processes }: SpaceHandle,
  { command, cwd, env }: ExecRequest,
  tag: string,
): Promise<Exit> {
  const { id } = await processes.start(command, { cwd, env, tag, pty: TERMINAL_SIZE });
  feed(processes, id).catch(() => {});
  try {
    for await (const event of processes.output(id, { encoding: "base64", signal: over.signal })) {
      if (event.type === "exit") return event;
      if (event.type === "stdout" || event.type === "stderr") {
        await write(process.stdout, outputBytes(event));
      }
    }
    throw new Error("the command's output ended before the command did");
  } finally {
    await processes.remove(id).catch(() => {});
  }
}

async function feed(processes: SpaceHandle["processes"], id: string): Promise<void> {
  for await (const piece of process.stdin) await processes.stdin(id, piece as Buffer);
  await processes.closeStdin(id);
}

async function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
