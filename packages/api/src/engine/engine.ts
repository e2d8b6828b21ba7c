import type { Readable, Writable } from "node:stream";

/** What we ask of a container engine, in our own types: Docker's today, another's behind the same interface. */
export interface Engine {
  /** Resolves where the engine answers within so many milliseconds. Throws `unavailable`. */
  ping(withinMs: number): Promise<void>;
  /** What the engine says of itself and of its node. */
  info(): Promise<EngineInfo>;

  /** Every container that carries all of these labels, in any state. */
  listContainers(labels: Record<string, string>): Promise<ContainerSummary[]>;
  /** @param ref id or name. Throws `not_found`. */
  inspectContainer(ref: string): Promise<ContainerDetails>;
  /** undefined where there is no such container. Answered also while an archive of it is read, when nothing else is. */
  containerState(id: string): Promise<ContainerState | undefined>;
  /** Creates without starting. Throws `conflict` where the name is taken, `not_found` where the image is missing. Returns the id. */
  createContainer(spec: ContainerSpec): Promise<string>;
  /** Starting what runs is no error. Throws `conflict` where it is paused, `invalid` where its command can't be started. */
  startContainer(id: string): Promise<void>;
  /** @param graceSeconds whole seconds between SIGTERM and SIGKILL. Stopping what is stopped is no error. */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  /** Waits until commands that are being started run, then freezes all. Throws `conflict` where it doesn't run. */
  pauseContainer(id: string): Promise<void>;
  /** Throws `conflict` where it isn't paused. */
  unpauseContainer(id: string): Promise<void>;
  /** Kills it where it runs. Removing what is gone is no error. */
  removeContainer(id: string): Promise<void>;
  /** Works on a running container too. Throws `conflict` where the new name is taken. */
  renameContainer(id: string, name: string): Promise<void>;
  /** Sets limits anew, also where it runs or is paused; swap stays refused. */
  updateLimits(id: string, limits: Limits): Promise<void>;

  listVolumes(labels: Record<string, string>): Promise<VolumeSummary[]>;
  /** undefined where there is no such volume. */
  findVolume(name: string): Promise<VolumeSummary | undefined>;
  /**
   * Creating a volume that exists changes nothing. Returns the volume as it is then.
   * @param folder an existing folder of the engine's node that the volume is, in place of one of the engine's own
   */
  createVolume(
    name: string,
    labels: Record<string, string>,
    folder?: string,
  ): Promise<VolumeSummary>;
  /** Removing what is gone is no error. Throws `conflict` while a container uses it. */
  removeVolume(name: string): Promise<void>;

  /** undefined where there is no such network. */
  findNetwork(name: string): Promise<NetworkSummary | undefined>;
  /** Makes a bridge network whose containers may be given addresses of their own. Throws `conflict` where the name or the subnet is taken. */
  createNetwork(spec: NetworkSpec): Promise<void>;
  /** Removing what is gone is no error. Throws `conflict` while a container is attached. */
  removeNetwork(name: string): Promise<void>;
  /** Attaches a stopped container anew to a network that was removed and made again under its name. */
  reconnect(containerId: string, network: string, address: string): Promise<void>;

  /** undefined where the image is not on the node. Throws `invalid` where the text is no image reference. */
  findImage(ref: string): Promise<ImageSummary | undefined>;
  /** Pulls and resolves when the image is there. Throws `invalid`, `not_found` or `failed` with the registry's own message. */
  pullImage(
    ref: string,
    onProgress: (progress: PullProgress) => void,
    signal?: AbortSignal,
  ): Promise<void>;

  /**
   * Starts a command inside a running container. Throws `conflict` where it is paused or stopped. A command or folder that
   * isn't there is no error of the call: the exec ends with 126, says why on stdout, and never has a pid.
   */
  exec(id: string, spec: EngineExecSpec): Promise<EngineExec>;
  /**
   * Connects to the standard streams of the container's first process; closing leaves it running. A container that is not
   * started yet can be attached to. Throws `conflict` where it is paused.
   */
  attach(id: string, signal?: AbortSignal): Promise<AttachedStreams>;

  /** undefined where there is no such path or container. Works in any state of the container. */
  statPath(id: string, path: string): Promise<PathStat | undefined>;
  /**
   * The file or folder as a tar stream, its last path segment as the root entry; a final symlink as itself. Until all of
   * it is read, or it is closed, the container can neither be woken nor looked at. Throws `not_found`.
   */
  readArchive(id: string, path: string): Promise<Readable>;
  /** Unpacks a tar stream into an existing folder. Throws `not_found`; `failed` where a root is read-only or the archive is none. */
  writeArchive(id: string, folder: string, tar: Readable | Buffer): Promise<void>;

  /** One sample of the container's counters; all zero where it is stopped. */
  stats(id: string): Promise<ContainerStats>;
  /**
   * The engine's own events for containers that carry these labels, from the whole second of `since` on. Ends when the signal
   * aborts or the engine closes the connection; throws `unavailable` where that breaks.
   */
  events(
    labels: Record<string, string>,
    since: Date,
    signal: AbortSignal,
  ): AsyncIterable<EngineEvent>;
}

export type EngineErrorKind = "not_found" | "conflict" | "invalid" | "unavailable" | "failed";

/** A failure of the engine; `unavailable` says that it could not be reached at all, or did not answer in time. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  constructor(
    readonly kind: EngineErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface EngineInfo {
  version: string;
  hostname: string;
  cpus: number;
  memoryBytes: number;
  arch: string;
  platform: string;
  containers: number;
  containersRunning: number;
  containersPaused: number;
  images: number;
  runtimes: string[];
  /** Limits that this engine can't set on containers, and would leave out without a word. */
  missingLimits: ("memory" | "cpus" | "pids")[];
  /** Whether containers get a seccomp profile without asking for one. */
  seccomp: boolean;
}

export type ContainerState = "created" | "running" | "paused" | "stopped";

export interface ContainerSummary {
  id: string;
  name: string;
  image: string;
  state: ContainerState;
  createdAt: Date;
  labels: Record<string, string>;
}

export interface ContainerDetails extends ContainerSummary {
  startedAt: Date | undefined;
  /** Process id of the container's first process as the engine's node sees it; 0 where it doesn't run. */
  pid: number;
  exitCode: number;
  oomKilled: boolean;
  /** The files of the engine's node that the container has as /etc/hostname and /etc/hosts. */
  hostnameFile: string;
  hostsFile: string;
  /** The environment that the engine gives each process: the image's and the container's own. */
  env: Record<string, string>;
  security: ContainerSecurity;
}

/** What confines a container, as the engine tells it. */
export interface ContainerSecurity {
  user: string;
  privileged: boolean;
  /** Capabilities beyond none; "default" stands for those that the engine gives unless told otherwise. */
  capabilities: string[];
  noNewPrivileges: boolean;
  /** "default" (the engine's), "custom", or "unconfined". */
  seccomp: "default" | "custom" | "unconfined";
  runtime: string;
  readonlyRootfs: boolean;
  networkMode: string;
  address: string | undefined;
  memoryBytes: number;
  /** Memory and swap together; equal to `memoryBytes` where swap is refused, -1 where it has no limit. */
  memorySwapBytes: number;
  cpus: number;
  pids: number;
  init: boolean;
  maskedPaths: string[];
  readonlyPaths: string[];
  tmpfs: Record<string, string>;
  /** Where host folders or devices are visible: "source:target". */
  hostMounts: string[];
}

/** What a container may use at most. */
export interface Limits {
  memoryBytes: number;
  cpus: number;
  pids: number;
}

export interface ContainerSpec extends Limits {
  name: string;
  image: string;
  command: string[];
  env: Record<string, string>;
  user: string;
  workdir: string;
  hostname: string;
  labels: Record<string, string>;
  volumes: VolumeMount[];
  tmpfs: Tmpfs[];
  /** "none", "host", "bridge" or the name of a network. */
  network: string;
  /** An IPv4 address of its own in a network whose name is given. */
  address?: string;
  /** Resolvers other than the engine's. */
  dns?: string[];
  /** Another runtime than the engine's default. */
  runtime?: string;
  /** A seccomp profile as JSON, in place of the engine's. */
  seccompProfile?: string;
  /** All others are dropped. */
  capAdd?: string[];
  readonlyRootfs: boolean;
  /** An init of the engine's as first process, to reap zombies, where the command is no init itself. */
  init: boolean;
  gpus?: ContainerGpu[];
}

export interface ContainerGpu {
  id: string;
  /** Those of NVIDIA come by the engine's own device requests; of others the files and groups are given. */
  kind: "nvidia" | "amd";
  devices: string[];
  groups: number[];
}

export interface VolumeMount {
  source: string;
  target: string;
  readonly: boolean;
  /** Set on the volume where this container is what makes it. */
  labels: Record<string, string>;
  /** Whether an empty volume takes on what the image has at `target`, its owner above all. */
  copyUp: boolean;
}

export interface Tmpfs {
  target: string;
  sizeBytes: number;
  mode: number;
  exec: boolean;
  /** Owning uid and gid; root where unset. */
  owner?: number;
}

export interface NetworkSpec {
  name: string;
  /** The bridge's interface on the engine's node, 15 characters at most. */
  bridge: string;
  /** As CIDR; the engine chooses one that is free where unset. */
  subnet?: string;
  gateway?: string;
  labels: Record<string, string>;
}

export interface NetworkSummary {
  name: string;
  bridge: string | undefined;
  subnet: string | undefined;
  gateway: string | undefined;
  labels: Record<string, string>;
}

export interface VolumeSummary {
  name: string;
  /** The folder of the engine's node that holds its files. */
  mountpoint: string;
  createdAt: Date | undefined;
  labels: Record<string, string>;
}

export interface ImageSummary {
  id: string;
  /** As Go and Docker name it: "amd64", "arm64". */
  arch: string;
  labels: Record<string, string>;
}

export interface PullProgress {
  message: string;
  current?: number;
  total?: number;
}

export interface EngineExecSpec {
  argv: string[];
  env: Record<string, string>;
  cwd: string;
  user: string;
  pty?: { cols: number; rows: number } | undefined;
  stdin: boolean;
}

export interface EngineExec {
  id: string;
  /** stdout and stderr in the order they came, with the reader's backpressure; ends when both are closed. */
  output: AsyncIterable<OutputChunk>;
  /** Ends nothing but the command's stdin when ended. */
  stdin: Writable;
  resize(cols: number, rows: number): Promise<void>;
  inspect(): Promise<{ running: boolean; exitCode: number | undefined; pid: number }>;
  /** Drops the connection; the command goes on. */
  close(): void;
}

export interface OutputChunk {
  stream: "stdout" | "stderr";
  data: Buffer;
}

export interface AttachedStreams {
  stdin: Writable;
  stdout: Readable;
  close(): void;
}

export interface PathStat {
  name: string;
  size: number;
  type: "file" | "dir" | "symlink" | "other";
  /** Permission bits. */
  mode: number;
  mtime: Date;
  linkTarget: string | undefined;
}

export interface ContainerStats {
  /** Nanoseconds of CPU time used so far, by all CPUs together. */
  cpuNanos: number;
  readAt: Date;
  memoryUsageBytes: number;
  memoryLimitBytes: number;
  pids: number;
  networkRxBytes: number;
  networkTxBytes: number;
  blockReadBytes: number;
  blockWriteBytes: number;
}

export interface EngineEvent {
  action: string;
  containerId: string;
  labels: Record<string, string>;
  time: Date;
}
