import { randomBytes } from "node:crypto";
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { PassThrough } from "node:stream";
import type {
  AttachedStreams,
  ContainerDetails,
  ContainerSecurity,
  ContainerSpec,
  ContainerState,
  EngineExec,
  EngineExecSpec,
} from "./engine.js";
import { EngineError } from "./engine.js";
import { FakeTree } from "./fake-archive.js";
import { FakeProcess, type FakeProcessSpec, failedExec, toExec } from "./fake-process.js";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** An image of the fake engine: what its containers begin with. */
export interface FakeImage {
  id: string;
  arch: string;
  labels: Record<string, string>;
  env: Record<string, string>;
  /** Content by absolute path; an empty folder by a path that ends with "/". */
  files: Record<string, string | Buffer>;
}

/** One container of the fake engine: a folder that plays its root, and processes of this machine. Users and limits are not played. */
export class FakeContainer {
  readonly id = randomBytes(32).toString("hex");
  readonly createdAt = new Date();
  readonly labels: Record<string, string>;
  name: string;
  state: ContainerState = "created";
  startedAt: Date | undefined;
  exitCode = 0;
  readonly #env: Record<string, string>;
  readonly #processes = new Set<FakeProcess>();
  readonly #attached = new Set<{ stdin: PassThrough; stdout: PassThrough }>();
  #first: FakeProcess | undefined;

  /** @param mounts container path → folder of this machine, "/" included. */
  constructor(
    readonly spec: ContainerSpec,
    readonly image: FakeImage,
    private readonly mounts: ReadonlyMap<string, string>,
    private readonly onEnd: (container: FakeContainer) => void,
  ) {
    this.name = spec.name;
    this.labels = { ...image.labels, ...spec.labels };
    this.#env = { ...image.env, ...spec.env };
  }

  get tree(): FakeTree {
    return new FakeTree(this.mounts);
  }

  /** Puts the image's files into the container's root. */
  async furnish(): Promise<void> {
    const root = this.mounts.get("/") ?? "";
    for (const folder of ["/tmp", ...this.mounts.keys(), this.spec.workdir]) {
      await mkdir(join(root, folder), { recursive: true });
    }
    for (const [path, content] of Object.entries(this.image.files)) {
      await mkdir(join(root, path.endsWith("/") ? path : posix.dirname(path)), { recursive: true });
      if (!path.endsWith("/")) await writeFile(join(root, path), content, { mode: 0o755 });
    }
  }

  /** Whether the engine may write to a path, as the archive call asks. */
  canWrite(path: string): boolean {
    if (!this.spec.readonlyRootfs) return true;
    return this.spec.volumes.some(
      ({ target, readonly }) => !readonly && (path === target || path.startsWith(`${target}/`)),
    );
  }

  async start(): Promise<void> {
    if (this.state === "running") return;
    if (this.state === "paused")
      throw this.#conflict("cannot start a paused container, try unpause instead");
    const { command: argv, workdir: cwd, user } = this.spec;
    let first: FakeProcess;
    try {
      first = await FakeProcess.start(
        await this.#toProcess({ argv, env: {}, cwd, user, stdin: true }),
      );
    } catch (cause) {
      this.exitCode = 127;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new EngineError("invalid", `Starting the container failed: ${why}`, { cause });
    }
    this.#first = first;
    this.#processes.add(first);
    this.state = "running";
    this.startedAt = new Date();
    first.stdout.on("data", (data: Buffer) => {
      for (const { stdout } of this.#attached) stdout.write(data);
    });
    first.stderr.resume();
    for (const { stdin } of this.#attached) stdin.pipe(first.stdin, { end: false });
    void first.ended.then(() => this.#ended(first));
  }

  async stop(graceSeconds: number): Promise<void> {
    const first = this.#first;
    if (!first) return;
    if (this.state === "paused") this.unpause();
    const timer = setTimeout(() => first.signal("SIGKILL"), graceSeconds * 1000);
    first.signal("SIGTERM");
    await first.ended;
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    const first = this.#first;
    for (const process of this.#processes) process.signal("SIGKILL");
    await first?.ended;
  }

  pause(): void {
    this.#mustRun(this.state === "paused" ? "is already paused" : "is not running");
    for (const process of this.#processes) process.signal("SIGSTOP");
    this.state = "paused";
  }

  unpause(): void {
    if (this.state !== "paused") throw this.#conflict("is not paused");
    for (const process of this.#processes) process.signal("SIGCONT");
    this.state = "running";
  }

  async exec(spec: EngineExecSpec): Promise<EngineExec> {
    this.#mustRun(
      this.state === "paused" ? "is paused, unpause the container before exec" : "is not running",
    );
    const id = randomBytes(32).toString("hex");
    try {
      const process = await FakeProcess.start(await this.#toProcess(spec));
      this.#processes.add(process);
      void process.ended.then(() => this.#processes.delete(process));
      return toExec(id, process, spec.pty !== undefined);
    } catch (error) {
      return failedExec(id, error instanceof Error ? error.message : String(error));
    }
  }

  attach(): AttachedStreams {
    if (this.state === "paused")
      throw this.#conflict("is paused, unpause the container before attach");
    const streams = { stdin: new PassThrough(), stdout: new PassThrough() };
    streams.stdout.on("error", () => {});
    this.#attached.add(streams);
    if (this.#first) streams.stdin.pipe(this.#first.stdin, { end: false });
    return {
      ...streams,
      close: () => {
        this.#attached.delete(streams);
        streams.stdin.destroy();
        streams.stdout.destroy();
      },
    };
  }

  details(): ContainerDetails {
    const { id, name, createdAt, labels, state, startedAt, exitCode } = this;
    return {
      id,
      name,
      image: this.spec.image,
      state,
      createdAt,
      labels,
      startedAt,
      pid: this.#first?.pid ?? 0,
      exitCode,
      oomKilled: false,
      hostnameFile: "",
      hostsFile: "",
      env: this.#env,
      security: this.#security(),
    };
  }

  #security(): ContainerSecurity {
    const { spec } = this;
    return {
      user: spec.user,
      privileged: false,
      capabilities: spec.capAdd ?? [],
      noNewPrivileges: true,
      seccomp: spec.seccompProfile ? "custom" : "default",
      runtime: spec.runtime ?? "runc",
      readonlyRootfs: spec.readonlyRootfs,
      networkMode: spec.network,
      address: spec.address,
      memoryBytes: spec.memoryBytes,
      memorySwapBytes: spec.memoryBytes,
      cpus: spec.cpus,
      pids: spec.pids,
      init: spec.init,
      maskedPaths: ["/proc/kcore"],
      readonlyPaths: ["/proc/sys"],
      tmpfs: Object.fromEntries(spec.tmpfs.map(({ target }) => [target, "rw"])),
      hostMounts: [],
    };
  }

  /** Removes the container's root; volumes stay. */
  async clear(): Promise<void> {
    await rm(this.mounts.get("/") ?? "", { recursive: true, force: true });
  }

  get pids(): number {
    return this.#processes.size;
  }

  /** With its first process a container ends all others. */
  #ended(first: FakeProcess): void {
    for (const process of this.#processes) process.signal("SIGKILL");
    this.#processes.clear();
    for (const { stdout } of this.#attached) stdout.end();
    this.#attached.clear();
    this.#first = undefined;
    this.state = "stopped";
    this.exitCode = first.exitCode ?? 0;
    this.onEnd(this);
  }

  async #toProcess(spec: Omit<EngineExecSpec, "pty">): Promise<FakeProcessSpec> {
    const { host } = await this.tree.resolve(spec.cwd, true);
    const present = await stat(host).then(
      (found) => found.isDirectory(),
      () => false,
    );
    return {
      argv: spec.argv,
      env: { PATH, HOSTNAME: this.spec.hostname, ...this.#env, ...spec.env },
      cwd: present ? host : undefined,
      cwdInContainer: spec.cwd,
      stdin: spec.stdin,
    };
  }

  #mustRun(otherwise: string): void {
    if (this.state !== "running") throw this.#conflict(otherwise);
  }

  #conflict = (why: string) => new EngineError("conflict", `Container ${this.id} ${why}`);
}
