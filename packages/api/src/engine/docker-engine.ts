import type { IncomingMessage } from "node:http";
import { type Duplex, Readable } from "node:stream";
import Docker from "dockerode";
import { Deadlines, ENGINE_TIMEOUT_MS } from "./deadlines.js";
import { demux } from "./demux.js";
import { abortedBy } from "./docker-client.js";
import { connectOptions } from "./docker-host.js";
import {
  toCreateOptions,
  toDetails,
  toEngineError,
  toEvent,
  toLimits,
  toPathStat,
  toStats,
  toSummary,
  toVolume,
} from "./docker-mapping.js";
import { toNetwork, toNetworkOptions } from "./docker-network.js";
import { hasSeccomp, toMissingLimits } from "./docker-security.js";
import type {
  AttachedStreams,
  ContainerSpec,
  Engine,
  EngineEvent,
  EngineExec,
  EngineExecSpec,
  Limits,
  NetworkSpec,
  PullProgress,
} from "./engine.js";
import { EngineError } from "./engine.js";
import { hasBegun, untilBegun } from "./exec-begun.js";
import { ExecGate } from "./exec-gate.js";
import { checkReference } from "./image-reference.js";
import { jsonLines } from "./json-lines.js";

const labelFilter = (labels: Record<string, string>) => ({
  label: Object.entries(labels).map(([key, value]) => `${key}=${value}`),
});

/**
 * Docker looks for keys in a terminal's input that detach it, holds back what could begin them, and can't be told not
 * to; its default begins with ctrl-p. These are none that anybody types, nor likely in pasted bytes.
 */
const NEVER_TYPED = Array.from({ length: 12 }, (_, index) =>
  index % 3 ? "ctrl-_" : "ctrl-^",
).join(",");

/** The engine interface over Docker's API (Docker Engine 20.10 and later, Podman's Docker socket). */
export class DockerEngine implements Engine {
  readonly #docker: Docker;
  readonly #gate = new ExecGate();
  readonly #deadlines: Deadlines;

  /**
   * @param dockerHost as in DOCKER_HOST: unix://PATH, tcp://HOST:PORT, or a socket's path. Throws `EngineError` on any other.
   * @param timeoutMs what an ordinary call may take before it fails with `unavailable`.
   */
  constructor(dockerHost: string, timeoutMs = ENGINE_TIMEOUT_MS) {
    this.#docker = new Docker(connectOptions(dockerHost));
    this.#deadlines = new Deadlines(timeoutMs);
  }

  async ping(withinMs: number) {
    await this.#call("Asking whether the engine is there", (docker) => docker.ping(), withinMs);
  }

  async info() {
    const [info, version] = await this.#call("Asking the engine for its state", (docker) =>
      Promise.all([docker.info(), docker.version()]),
    );
    return {
      version: version.Version,
      hostname: info.Name,
      cpus: info.NCPU,
      memoryBytes: info.MemTotal,
      arch: version.Arch,
      platform: version.Os,
      containers: info.Containers,
      containersRunning: info.ContainersRunning,
      containersPaused: info.ContainersPaused,
      images: info.Images,
      runtimes: Object.keys(info.Runtimes ?? {}),
      missingLimits: toMissingLimits(info),
      seccomp: hasSeccomp(info),
    };
  }

  async listContainers(labels: Record<string, string>) {
    const found = await this.#call("Listing containers", (docker) =>
      docker.listContainers({ all: true, filters: labelFilter(labels) }),
    );
    return found.map(toSummary);
  }

  async inspectContainer(ref: string) {
    return toDetails(
      await this.#call("Inspecting a container", (docker) => docker.getContainer(ref).inspect()),
    );
  }

  async containerState(id: string) {
    const [found] = await this.#call("Asking for a container's state", (docker) =>
      docker.listContainers({ all: true, filters: { id: [id] } }),
    );
    return found && toSummary(found).state;
  }

  async createContainer(spec: ContainerSpec) {
    const created = await this.#slow("Creating the container", (docker) =>
      docker.createContainer(toCreateOptions(spec)),
    );
    return created.id;
  }

  async startContainer(id: string) {
    await this.#slow("Starting the container", (docker) =>
      unlessStatus(304, docker.getContainer(id).start()),
    );
  }

  async stopContainer(id: string, graceSeconds: number) {
    await this.#call(
      "Stopping the container",
      (docker) => unlessStatus(304, docker.getContainer(id).stop({ t: graceSeconds })),
      this.#deadlines.slowMs + graceSeconds * 1000,
    );
  }

  async pauseContainer(id: string) {
    await this.#slow("Pausing the container", (docker) =>
      this.#gate.pause(id, () => docker.getContainer(id).pause()),
    );
  }

  async unpauseContainer(id: string) {
    await this.#slow("Unpausing the container", (docker) => docker.getContainer(id).unpause());
  }

  async removeContainer(id: string) {
    await this.#slow("Removing the container", (docker) =>
      unlessStatus(404, removed(docker.getContainer(id))),
    );
  }

  async renameContainer(id: string, name: string) {
    await this.#call("Naming the container", (docker) => docker.getContainer(id).rename({ name }));
  }

  async updateLimits(id: string, limits: Limits) {
    await this.#slow("Setting the container's limits", (docker) =>
      docker.getContainer(id).update(toLimits(limits)),
    );
  }

  async listVolumes(labels: Record<string, string>) {
    const { Volumes } = await this.#call("Listing volumes", (docker) =>
      docker.listVolumes({ filters: JSON.stringify(labelFilter(labels)) }),
    );
    return (Volumes ?? []).map(toVolume);
  }

  async findVolume(name: string) {
    const volume = await this.#call("Inspecting the volume", (docker) =>
      unlessStatus(404, docker.getVolume(name).inspect()),
    );
    return volume && toVolume(volume);
  }

  async createVolume(name: string, labels: Record<string, string>, folder?: string) {
    const DriverOpts = folder ? { type: "none", o: "bind", device: folder } : {};
    return await this.#slow("Creating the volume", async (docker) => {
      const volume = await docker.createVolume({ Name: name, Labels: labels, DriverOpts });
      return toVolume(await docker.getVolume(volume.name).inspect());
    });
  }

  async removeVolume(name: string) {
    await this.#slow("Removing the volume", (docker) =>
      unlessStatus(404, docker.getVolume(name).remove()),
    );
  }

  async findNetwork(name: string) {
    const network = await this.#call("Inspecting the network", (docker) =>
      unlessStatus(404, docker.getNetwork(name).inspect()),
    );
    return network && toNetwork(network);
  }

  async createNetwork(spec: NetworkSpec) {
    await this.#slow("Creating the network", (docker) =>
      docker.createNetwork(toNetworkOptions(spec)),
    );
  }

  async removeNetwork(name: string) {
    await this.#slow("Removing the network", (docker) =>
      unlessStatus(404, docker.getNetwork(name).remove()),
    );
  }

  async reconnect(containerId: string, network: string, address: string) {
    await this.#slow("Attaching the container to its network", async (docker) => {
      const found = docker.getNetwork(network);
      await found.disconnect({ Container: containerId, Force: true });
      await found.connect({
        Container: containerId,
        EndpointConfig: { IPAMConfig: { IPv4Address: address } },
      });
    });
  }

  async findImage(ref: string) {
    checkReference(ref);
    const image = await this.#call("Inspecting the image", (docker) =>
      unlessStatus(404, docker.getImage(ref).inspect()),
    );
    return image && { id: image.Id, arch: image.Architecture, labels: image.Config?.Labels ?? {} };
  }

  async pullImage(ref: string, onProgress: (progress: PullProgress) => void, signal?: AbortSignal) {
    checkReference(ref);
    const tagged = /[:@][^/]*$/.test(ref) ? ref : `${ref}:latest`;
    const what = `Pulling ${ref}`;
    const start = (docker: Docker) => docker.pull(tagged, { abortSignal: signal });
    const stream = (await this.#call(what, start, this.#deadlines.silentMs)) as Readable;
    const lines = this.#deadlines.spoken(what, jsonLines(stream), () => stream.destroy());
    for await (const line of lines) {
      const { status, id, error, progressDetail } = line as {
        status?: string;
        id?: string;
        error?: string;
        progressDetail?: { current?: number; total?: number };
      };
      if (error) throw new EngineError("failed", `Pulling ${ref} failed: ${error}`);
      if (status) onProgress({ message: id ? `${id}: ${status}` : status, ...progressDetail });
    }
  }

  async exec(id: string, spec: EngineExecSpec): Promise<EngineExec> {
    const { value, settled } = await this.#gate.start(id, () => this.#startExec(id, spec));
    const { exec, socket } = value;
    socket.once("close", settled);
    const resize = (cols: number, rows: number) =>
      this.#call("Resizing the terminal", (docker) =>
        docker.getExec(exec.id).resize({ w: cols, h: rows }),
      );
    if (spec.pty) await resize(spec.pty.cols, spec.pty.rows).catch(() => {});
    return {
      id: exec.id,
      output: spec.pty ? untagged(socket) : demux(socket),
      stdin: socket,
      resize,
      inspect: async () => {
        const state = await this.#inspectExec(exec.id);
        if (hasBegun(state)) settled();
        return { running: state.Running, exitCode: state.ExitCode ?? undefined, pid: state.Pid };
      },
      close: () => socket.destroy(),
    };
  }

  async #startExec(id: string, spec: EngineExecSpec) {
    const tty = spec.pty !== undefined;
    const exec = await this.#call("Creating the exec", (docker) =>
      docker.getContainer(id).exec({
        Cmd: spec.argv,
        Env: Object.entries(spec.env).map(([key, value]) => `${key}=${value}`),
        WorkingDir: spec.cwd,
        User: spec.user,
        AttachStdin: spec.stdin,
        AttachStdout: true,
        AttachStderr: true,
        Tty: tty,
        ...(tty ? { DetachKeys: NEVER_TYPED } : {}),
      }),
    );
    const socket = await this.#call("Starting the exec", (docker) =>
      docker.getExec(exec.id).start({ hijack: true, stdin: spec.stdin, Tty: tty }),
    );
    socket.on("error", () => {});
    const begun = () => untilBegun(() => this.#inspectExec(exec.id));
    return { value: { exec, socket }, begun };
  }

  async #inspectExec(id: string) {
    return await this.#call("Inspecting the exec", (docker) => docker.getExec(id).inspect());
  }

  async attach(id: string, signal?: AbortSignal): Promise<AttachedStreams> {
    const socket = (await this.#call("Attaching to the container", (docker) =>
      docker.getContainer(id).attach({
        stream: true,
        hijack: true,
        stdin: true,
        stdout: true,
        stderr: false,
        ...(signal ? { abortSignal: signal } : {}),
      }),
    )) as Duplex;
    socket.on("error", () => {});
    const stdout = Readable.from(payloads(socket), { objectMode: false });
    // A connection that breaks off, or that we close, is the end of the stream to whoever reads it, and nobody's crash.
    stdout.on("error", () => {});
    return { stdin: socket, stdout, close: () => socket.destroy() };
  }

  async statPath(id: string, path: string) {
    const head = await this.#call("Looking at a path", async (docker) => {
      const container = docker.getContainer(id);
      try {
        return await unlessStatus(404, container.infoArchive({ path }));
      } catch (error) {
        if (statusOf(error) !== 500) throw error;
        // The answer to HEAD has no body to say why; the one to GET has.
        const why = await container.getArchive({ path }).catch((cause: unknown) => cause);
        if (why instanceof Error && /: not a directory/.test(why.message)) return undefined;
        throw why instanceof Error ? why : error;
      }
    });
    const header = (head as IncomingMessage | undefined)?.headers["x-docker-container-path-stat"];
    return typeof header === "string" ? toPathStat(header) : undefined;
  }

  async readArchive(id: string, path: string) {
    const stream = await this.#slow("Reading a path", (docker) =>
      docker.getContainer(id).getArchive({ path }),
    );
    return stream as Readable;
  }

  async writeArchive(id: string, folder: string, tar: Readable | Buffer) {
    const what = "Writing to a folder";
    const options = { path: folder, noOverwriteDirNonDir: "1" };
    if (Buffer.isBuffer(tar)) {
      await this.#slow(what, (docker) => docker.getContainer(id).putArchive(tar, options));
      return;
    }
    try {
      await this.#deadlines.fed(this.#deadlines.slowMs, what, tar, (signal, fed) =>
        abortedBy(this.#docker, signal).getContainer(id).putArchive(fed, options),
      );
    } catch (cause) {
      throw toEngineError(what, cause);
    }
  }

  async stats(id: string) {
    return toStats(
      await this.#call("Reading statistics", (docker) =>
        docker.getContainer(id).stats({ stream: false, "one-shot": true }),
      ),
    );
  }

  async *events(
    labels: Record<string, string>,
    since: Date,
    signal: AbortSignal,
  ): AsyncGenerator<EngineEvent> {
    try {
      const stream = await this.#call("Listening to events", (docker) =>
        docker.getEvents({
          since: Math.floor(since.getTime() / 1000),
          filters: { type: ["container"], ...labelFilter(labels) },
          abortSignal: signal,
        }),
      );
      for await (const line of jsonLines(stream as Readable)) yield toEvent(line);
    } catch (cause) {
      if (!signal.aborted) throw toEngineError("Listening to events", cause);
    }
  }

  /** Runs one or a few requests that are aborted at the deadline, and names failures by what was tried. */
  async #call<T>(
    what: string,
    request: (docker: Docker) => Promise<T>,
    ms = this.#deadlines.quickMs,
  ): Promise<T> {
    try {
      return await this.#deadlines.within(ms, what, (signal) =>
        request(abortedBy(this.#docker, signal)),
      );
    } catch (cause) {
      throw toEngineError(what, cause);
    }
  }

  async #slow<T>(what: string, request: (docker: Docker) => Promise<T>): Promise<T> {
    return await this.#call(what, request, this.#deadlines.slowMs);
  }
}

async function unlessStatus<T>(status: number, request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (statusOf(error) === status) return undefined;
    throw error;
  }
}

const statusOf = (error: unknown) => (error as { statusCode?: number }).statusCode;

/** Removes a container. Where that is under way, as for a daemon that was killed meanwhile, waits until it is gone. */
async function removed(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    if (statusOf(error) !== 409 || !/in progress/.test(String(error))) throw error;
    await container.wait({ condition: "removed" });
  }
}

async function* payloads(socket: Readable): AsyncGenerator<Buffer> {
  for await (const { data } of demux(socket)) yield data;
}

async function* untagged(socket: Readable): AsyncGenerator<{ stream: "stdout"; data: Buffer }> {
  for await (const data of socket as AsyncIterable<Buffer>) yield { stream: "stdout", data };
}
