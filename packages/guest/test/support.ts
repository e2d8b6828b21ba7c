import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { GuestConnection } from "../../api/src/guest/index.js";
import type {
  GuestConnectionOptions,
  GuestOutput,
  GuestPipes,
  GuestTransport,
} from "../../api/src/guest/types.js";
import { openHostPipes } from "../../api/src/processes/host-pipes.js";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
export const BINARY = join(PACKAGE, "build/clawdspace-guest");

/** Compiles what is not up to date; several test files may ask at once. */
export function make(target: string): void {
  mkdirSync(join(PACKAGE, "build"), { recursive: true });
  execFileSync("flock", ["build/lock", "make", "-s", target], { cwd: PACKAGE, stdio: "pipe" });
}

/**
 * A guest agent as an ordinary process, with a folder of its own as root. attach() behaves as a container's: the
 * agent's stdin and stdout outlive a transport, what comes while nobody is attached is lost.
 */
export class TestGuest {
  readonly root: string;
  readonly pid: number;
  readonly exited: Promise<number | null>;
  /** How often somebody attached. */
  attached = 0;
  /** How often a connection went on through the agent's own pipes. */
  moved = 0;
  readonly #child;
  readonly #pipes = new Set<GuestTransport>();
  readonly #links = new Set<{ stdout: PassThrough; cut: () => void }>();

  constructor(options: { uid?: number } = {}) {
    make("build/clawdspace-guest");
    this.root = mkdtempSync(join(tmpdir(), "guest-"));
    if (options.uid !== undefined) execFileSync("chown", [`${options.uid}`, this.root]);
    this.#child = spawn(BINARY, ["--root", this.root], {
      stdio: ["pipe", "pipe", "ignore"],
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    this.pid = this.#child.pid ?? 0;
    this.exited = new Promise((resolve) => this.#child.on("exit", (code) => resolve(code)));
    this.#child.stdin.on("error", () => {});
    this.#child.stdout.on("data", (chunk: Buffer) => {
      for (const link of [...this.#links]) {
        if (link.stdout.write(chunk) || !this.#links.has(link)) continue;
        this.#child.stdout.pause();
        const resume = (): void => void this.#child.stdout.resume();
        link.stdout.once("drain", resume).once("close", resume);
      }
    });
  }

  readonly attach = (): Promise<GuestTransport> => {
    this.attached++;
    const stdout = new PassThrough({ highWaterMark: 256 << 10 });
    const stdin = new Writable({
      write: (chunk, _encoding, callback) => {
        if (this.#links.has(link)) this.#child.stdin.write(chunk, callback);
        else callback();
      },
    });
    const cut = (): void => {
      this.#links.delete(link);
      stdout.destroy();
      stdin.destroy();
    };
    const link = { stdout, cut };
    this.#links.add(link);
    return Promise.resolve({ stdin, stdout, close: cut });
  };

  open(options: GuestConnectionOptions = {}): Promise<GuestConnection> {
    return GuestConnection.open(this.attach, options);
  }

  /** Opens the agent's own pipes, as a daemon on the same machine does. */
  readonly openPipes = (pipes: GuestPipes): GuestTransport | undefined => {
    // It is in no container: every cgroup holds no name at all.
    const transport = openHostPipes("", this.pid, pipes);
    if (!transport) return undefined;
    this.moved++;
    this.#pipes.add(transport);
    transport.stdout.on("close", () => this.#pipes.delete(transport));
    return transport;
  };

  /** Bytes for the agent past any protocol. */
  inject(bytes: Buffer): void {
    this.#child.stdin.write(bytes);
  }

  /** Cuts every transport, as when the engine's connection breaks. */
  cut(): void {
    for (const link of [...this.#links]) link.cut();
    for (const transport of [...this.#pipes]) transport.close();
  }

  /** How many transports of the engine's kind are open. */
  get links(): number {
    return this.#links.size;
  }

  async stop(): Promise<void> {
    this.cut();
    this.#child.stdin.end();
    await this.exited;
    rmSync(this.root, { recursive: true, force: true });
  }
}

export const ENV = { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C.UTF-8" };

/** A spec of `sh -c script` that an exec would have. */
export function shell(script: string) {
  return { argv: ["sh", "-c", script], env: ENV, cwd: "/", onFull: "block" as const };
}

/** Everything that an output says, joined. */
export async function collect(output: AsyncIterable<GuestOutput>) {
  const parts: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  let dropped = 0;
  let exit: Extract<GuestOutput, { type: "exit" }> | undefined;
  for await (const item of output) {
    if (item.type === "dropped") dropped += item.bytes;
    else if (item.type === "exit") exit = item;
    else parts[item.type].push(item.data);
  }
  if (!exit) throw new Error("the output ended without an exit");
  return {
    stdout: Buffer.concat(parts.stdout),
    stderr: Buffer.concat(parts.stderr),
    dropped,
    exit,
  };
}

/** Waits until it holds; fails after a while. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 15_000; waited += 10) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`still not so after 15 s: ${what}`);
}
