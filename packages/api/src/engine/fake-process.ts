import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { Readable, Writable } from "node:stream";
import type { EngineExec, OutputChunk } from "./engine.js";

export interface FakeProcessSpec {
  argv: string[];
  env: Record<string, string>;
  /** A folder of this machine; undefined where the container has no such folder. */
  cwd: string | undefined;
  cwdInContainer: string;
  stdin: boolean;
}

/** A process of this machine, in a group of its own, that plays one inside a container. */
export class FakeProcess {
  exitCode: number | undefined;
  pid = 0;
  readonly ended: Promise<void>;
  #child: ChildProcess | undefined;
  #end = () => {};

  private constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Rejects with the words of the engine's runtime where the command can't be started. */
  static async start(spec: FakeProcessSpec): Promise<FakeProcess> {
    const process = new FakeProcess();
    await process.#spawn(spec);
    return process;
  }

  get stdin(): Writable {
    return this.#child?.stdin ?? new Writable({ write: (_chunk, _encoding, done) => done() });
  }

  get stdout(): Readable {
    return this.#child?.stdout ?? Readable.from([]);
  }

  get stderr(): Readable {
    return this.#child?.stderr ?? Readable.from([]);
  }

  /** Signals the whole group; one that is gone is no error. */
  signal(signal: NodeJS.Signals): void {
    if (this.pid === 0) return;
    try {
      globalThis.process.kill(-this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  async #spawn(spec: FakeProcessSpec): Promise<void> {
    const [program = "", ...rest] = spec.argv;
    if (spec.cwd === undefined) {
      throw new Error(
        `chdir to cwd ("${spec.cwdInContainer}") set in config.json failed: no such file or directory: unknown`,
      );
    }
    const child = spawn(program, rest, {
      cwd: spec.cwd,
      env: spec.env,
      detached: true,
      stdio: [spec.stdin ? "pipe" : "ignore", "pipe", "pipe"],
    });
    child.stdin?.on("error", () => {});
    try {
      await once(child, "spawn");
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      const why = missing ? "executable file not found in $PATH" : "permission denied";
      throw new Error(`exec: "${program}": ${why}: unknown`);
    }
    this.#child = child;
    this.pid = child.pid ?? 0;
    child.once("exit", (code, signal) => {
      this.exitCode = code ?? 128 + (signal ? constants.signals[signal] : 0);
      this.#end();
    });
  }
}

/** A started command as the engine's caller sees it. */
export function toExec(id: string, started: FakeProcess, pty: boolean): EngineExec {
  const { stdout, stderr, stdin } = started;
  const output = merge([stdout, "stdout"], [stderr, pty ? "stdout" : "stderr"]);
  return {
    id,
    output,
    stdin,
    resize: async () => {},
    inspect: async () => ({
      running: started.exitCode === undefined,
      exitCode: started.exitCode,
      pid: started.pid,
    }),
    close: () => {
      output.destroy();
      stdin.destroy();
      stdout.resume();
      stderr.resume();
    },
  };
}

/** Docker answers a command that can't be started with a line of output and exit code 126. */
export function failedExec(id: string, why: string): EngineExec {
  const data = Buffer.from(
    `OCI runtime exec failed: exec failed: unable to start container process: ${why}\r\n`,
  );
  return {
    id,
    output: Readable.from([{ stream: "stdout", data } satisfies OutputChunk]),
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    resize: async () => {},
    inspect: async () => ({ running: false, exitCode: 126, pid: 0 }),
    close: () => {},
  };
}

/** Several streams as one of tagged pieces, at the reader's pace; it ends when the last of them has. */
function merge(...sources: [Readable, OutputChunk["stream"]][]): Readable {
  let open = sources.length;
  const merged = new Readable({
    objectMode: true,
    highWaterMark: 4,
    read: () => {
      for (const [source] of sources) source.resume();
    },
  });
  for (const [source, stream] of sources) {
    source.on("data", (data: Buffer) => {
      if (!merged.destroyed && !merged.push({ stream, data } satisfies OutputChunk)) source.pause();
    });
    source.once("close", () => {
      if (--open === 0 && !merged.destroyed) merged.push(null);
    });
    source.pause();
  }
  return merged;
}
