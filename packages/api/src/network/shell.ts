import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { ContainerSpec, Engine } from "../engine/engine.js";
import type { Names } from "../spaces/names.js";

const MAX_RUN_MS = 30_000;
const MIB = 1024 ** 2;

/** Runs shell scripts as root in the engine's network namespace. */
export interface Shell {
  /** Where it runs, for people to read. */
  readonly place: string;
  /** Returns stdout and stderr together. Throws an `Error` that holds them where the script fails or can't run. */
  run(script: string): Promise<string>;
}

/** The daemon's own machine, where the daemon is root and the engine's interfaces are its own. */
export class LocalShell implements Shell {
  readonly place = "the daemon itself";

  async run(script: string): Promise<string> {
    const child = spawn("sh", ["-s"], {
      env: { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`, LC_ALL: "C" },
      stdio: ["pipe", "pipe", "inherit"],
      timeout: MAX_RUN_MS,
    });
    const ended = new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve(code ?? 1));
    });
    // A shell that ends before it has read everything is told by its exit code.
    child.stdin.on("error", () => {});
    child.stdin.end(`exec 2>&1\n${script}`);
    const [output, code] = await Promise.all([text(child.stdout), ended]);
    return checked(output, code);
  }
}

/** A short-lived container in the engine's network namespace, for a daemon that isn't root or runs elsewhere. */
export class HelperShell implements Shell {
  readonly place = "a helper container";

  /** @param image has a shell and iptables */
  constructor(
    private readonly engine: Engine,
    private readonly image: string,
    private readonly names: Names,
  ) {}

  async run(script: string): Promise<string> {
    const { engine } = this;
    const id = await engine.createContainer(this.#container(script));
    try {
      const abort = AbortSignal.timeout(MAX_RUN_MS);
      const streams = await engine.attach(id, abort);
      try {
        const output = text(streams.stdout);
        await engine.startContainer(id);
        const printed = await Promise.race([output, rejectOn(abort)]);
        const { exitCode } = await engine.inspectContainer(id);
        return checked(printed, exitCode);
      } finally {
        streams.close();
      }
    } finally {
      await engine.removeContainer(id);
    }
  }

  #container(script: string): ContainerSpec {
    return {
      name: this.names.scratch(),
      image: this.image,
      command: ["sh", "-c", `exec 2>&1\n${script}`],
      init: false,
      env: { PATH: "/usr/sbin:/sbin:/usr/bin:/bin", LC_ALL: "C" },
      user: "0:0",
      capAdd: ["NET_ADMIN", "NET_RAW"],
      workdir: "/",
      hostname: "",
      labels: this.names.ours,
      memoryBytes: 64 * MIB,
      cpus: 1,
      pids: 64,
      volumes: [],
      tmpfs: [{ target: "/run", sizeBytes: MIB, mode: 0o755, exec: false }],
      network: "host",
      readonlyRootfs: true,
    };
  }
}

function checked(output: string, code: number): string {
  if (code === 0) return output;
  throw new Error(output.trim().slice(-1000) || `the script ended with exit code ${code}`);
}

const rejectOn = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("the helper container took too long")));
  });

/** Whether the engine's bridge of this name is an interface of this process's own network namespace, and it may change rules there. */
export async function isLocal(bridge: string): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const devices = await readFile("/proc/self/net/dev", "utf8").catch(() => "");
  return devices.split("\n").some((line) => line.trimStart().startsWith(`${bridge}:`));
}
