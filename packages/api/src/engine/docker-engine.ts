import type { IncomingMessage } from "node:http";
import { type Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { demux } from "./demux.js";
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
import { ExecGate } from "./exec-gate.js";
import { checkReference } from "./image-reference.js";
import { jsonLines } from "./json-lines.js";

const EXEC_POLL_MS = 10;

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

  /** @param dockerHost as in DOCKER_HOST: unix://PATH, tcp://HOST:PORT, or a socket's path. Throws `EngineError` on any other. */
  constructor(dockerHost: string) {
    this.#docker = new Docker(connectOptions(dockerHost));
  }

  async info() {
    const [info, version] = await call("Asking the engine for its state", () =>
      Promise.all([this.#docker.info(), this.#docker.version()]),
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
    const found = await call("Listing containers", () =>
      this.#docker.listContainers({ all: true, filters: labelFilter(labels) }),
    );
    return found.map(toSummary);
  }

  async inspectContainer(ref: string) {
    return toDetails(
      await call("Inspecting a container", () => this.#docker.getContainer(ref).inspect()),
    );
  }

  async createContainer(spec: ContainerSpec) {
    const created = await call("Creating the container", () =>
      this.#docker.createContainer(toCreateOptions(spec)),
    );
    return created.id;
  }

  async startContainer(id: string) {
    await call("Starting the container", () =>
      unlessStatus(304, this.#docker.getContainer(id).start()),
    );
  }

  async stopContainer(id: string, graceSeconds: number) {
    await call("Stopping the container", () =>
      unlessStatus(304, this.#docker.getContainer(id).stop({ t: graceSeconds })),
    );
  }

  async pauseContainer(id: string) {
    await call("Pausing the container", () =>
      this.#gate.pause(id, () => this.#docker.getContainer(id).pause()),
    );
  }

  async unpauseContainer(id: string) {
    await call("Unpausing the container", () => this.#docker.getContainer(id).unpause());
  }

  async removeContainer(id: string) {
    await call("Removing the container", () =>
      unlessStatus(404, this.#docker.getContainer(id).remove({ force: true, v: true })),
    );
  }

  async renameContainer(id: string, name: string) {
    await call("Naming the container", () => this.#docker.getContainer(id).rename({ name }));
  }

  async updateLimits(id: string, limits: Limits) {
    await call("Setting the container's limits", () =>
      this.#docker.getContainer(id).update(toLimits(limits)),
    );
  }

  async listVolumes(labels: Record<string, string>) {
    const { Volumes } = await call("Listing volumes", () =>
      this.#docker.listVolumes({ filters: JSON.stringify(labelFilter(labels)) }),
    );
    return (Volumes ?? []).map(toVolume);
  }

  async findVolume(name: string) {
    const volume = await call("Inspecting the volume", () =>
      unlessStatus(404, this.#docker.getVolume(name).inspect()),
    );
    return volume && toVolume(volume);
  }

  async createVolume(name: string, labels: Record<string, string>, folder?: string) {
    const DriverOpts = folder ? { type: "none", o: "bind", device: folder } : {};
    return await call("Creating the volume", async () => {
      const volume = await this.#docker.createVolume({ Name: name, Labels: labels, DriverOpts });
      return toVolume(await this.#docker.getVolume(volume.name).inspect());
    });
  }

  async removeVolume(name: string) {
    await call("Removing the volume", () =>
      unlessStatus(404, this.#docker.getVolume(name).remove()),
    );
  }

  async findNetwork(name: string) {
    const network = await call("Inspecting the network", () =>
      unlessStatus(404, this.#docker.getNetwork(name).inspect()),
    );
    return network && toNetwork(network);
  }

  async createNetwork(spec: NetworkSpec) {
    await call("Creating the network", () => this.#docker.createNetwork(toNetworkOptions(spec)));
  }

  async removeNetwork(name: string) {
    await call("Removing the network", () =>
      unlessStatus(404, this.#docker.getNetwork(name).remove()),
    );
  }

  async reconnect(containerId: string, network: string, address: string) {
    await call("Attaching the container to its network", async () => {
      const found = this.#docker.getNetwork(network);
      await found.disconnect({ Container: containerId, Force: true });
      await found.connect({
        Container: containerId,
        EndpointConfig: { IPAMConfig: { IPv4Address: address } },
      });
    });
  }

  async findImage(ref: string) {
    checkReference(ref);
    const image = await call("Inspecting the image", () =>
      unlessStatus(404, this.#docker.getImage(ref).inspect()),
    );
    return image && { id: image.Id, arch: image.Architecture, labels: image.Config?.Labels ?? {} };
  }

  async pullImage(ref: string, onProgress: (progress: PullProgress) => void, signal?: AbortSignal) {
    checkReference(ref);
    const tagged = /[:@][^/]*$/.test(ref) ? ref : `${ref}:latest`;
    const stream = await call(`Pulling ${ref}`, () =>
      this.#docker.pull(tagged, { abortSignal: signal }),
    );
    for await (const line of jsonLines(stream as Readable)) {
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
    if (spec.pty) await exec.resize({ w: spec.pty.cols, h: spec.pty.rows }).catch(() => {});
    return {
      id: exec.id,
      output: spec.pty ? untagged(socket) : demux(socket),
      stdin: socket,
      resize: (cols, rows) =>
        call("Resizing the terminal", () => exec.resize({ w: cols, h: rows })),
      inspect: async () => {
        const state = await call("Inspecting the exec", () => exec.inspect());
        if (hasBegun(state)) settled();
        return { running: state.Running, exitCode: state.ExitCode ?? undefined, pid: state.Pid };
      },
      close: () => socket.destroy(),
    };
  }

  async #startExec(id: string, spec: EngineExecSpec) {
    const tty = spec.pty !== undefined;
    const exec = await call("Creating the exec", () =>
      this.#docker.getContainer(id).exec({
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
    const socket = await call("Starting the exec", () =>
      exec.start({ hijack: true, stdin: spec.stdin, Tty: tty }),
    );
    socket.on("error", () => {});
    const begun = async () => {
      while (!hasBegun(await exec.inspect())) await delay(EXEC_POLL_MS);
    };
    return { value: { exec, socket }, begun };
  }

  async attach(id: string, signal?: AbortSignal): Promise<AttachedStreams> {
    const socket = (await call("Attaching to the container", () =>
      this.#docker.getContainer(id).attach({
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
    const container = this.#docker.getContainer(id);
    const head = await call("Looking at a path", async () => {
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
    const stream = await call("Reading a path", () =>
      this.#docker.getContainer(id).getArchive({ path }),
    );
    return stream as Readable;
  }

  async writeArchive(id: string, folder: string, tar: Readable | Buffer) {
    await call("Writing to a folder", () =>
      this.#docker.getContainer(id).putArchive(tar, { path: folder, noOverwriteDirNonDir: "1" }),
    );
  }

  async stats(id: string) {
    return toStats(
      await call("Reading statistics", () =>
        this.#docker.getContainer(id).stats({ stream: false, "one-shot": true }),
      ),
    );
  }

  async *events(
    labels: Record<string, string>,
    since: Date,
    signal: AbortSignal,
  ): AsyncGenerator<EngineEvent> {
    try {
      const stream = await this.#docker.getEvents({
        since: Math.floor(since.getTime() / 1000),
        filters: { type: ["container"], ...labelFilter(labels) },
        abortSignal: signal,
      });
      for await (const line of jsonLines(stream as Readable)) yield toEvent(line);
    } catch (cause) {
      if (!signal.aborted) throw toEngineError("Listening to events", cause);
    }
  }
}

/** Whether the engine has started an exec's command, or has given up on it. */
const hasBegun = (state: Docker.ExecInspectInfo) => state.Pid > 0 || !state.Running;

async function call<T>(what: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (cause) {
    throw toEngineError(what, cause);
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

async function* payloads(socket: Readable): AsyncGenerator<Buffer> {
  for await (const { data } of demux(socket)) yield data;
}

async function* untagged(socket: Readable): AsyncGenerator<{ stream: "stdout"; data: Buffer }> {
  for await (const data of socket as AsyncIterable<Buffer>) yield { stream: "stdout", data };
}
