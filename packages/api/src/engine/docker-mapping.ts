import type Docker from "dockerode";
import { toSecurity } from "./docker-security.js";
import type {
  ContainerDetails,
  ContainerGpu,
  ContainerSpec,
  ContainerState,
  ContainerStats,
  ContainerSummary,
  EngineErrorKind,
  EngineEvent,
  Limits,
  PathStat,
  Tmpfs,
  VolumeMount,
  VolumeSummary,
} from "./engine.js";
import { EngineError } from "./engine.js";

/** Translates our container spec into the body of Docker's create call. Everything we run is hardened the same way. */
export function toCreateOptions(spec: ContainerSpec): Docker.ContainerCreateOptions {
  return {
    name: spec.name,
    Image: spec.image,
    Cmd: spec.command,
    Entrypoint: [],
    Env: Object.entries(spec.env).map(([key, value]) => `${key}=${value}`),
    User: spec.user,
    WorkingDir: spec.workdir,
    Hostname: spec.hostname,
    Labels: spec.labels,
    OpenStdin: true,
    StdinOnce: false,
    Tty: false,
    HostConfig: {
      Init: spec.init,
      CapDrop: ["ALL"],
      CapAdd: spec.capAdd ?? [],
      SecurityOpt: [
        "no-new-privileges",
        ...(spec.seccompProfile ? [`seccomp=${spec.seccompProfile}`] : []),
      ],
      ...(spec.runtime ? { Runtime: spec.runtime } : {}),
      ...(spec.dns ? { Dns: spec.dns } : {}),
      ReadonlyRootfs: spec.readonlyRootfs,
      ...toLimits(spec),
      NetworkMode: spec.network,
      IpcMode: "private",
      LogConfig: { Type: "none", Config: {} },
      RestartPolicy: { Name: "no" },
      Mounts: spec.volumes.map(toMount),
      Tmpfs: Object.fromEntries(spec.tmpfs.map(toTmpfs)),
      ...toGpus(spec.gpus ?? []),
    },
    ...(spec.address
      ? {
          NetworkingConfig: {
            EndpointsConfig: { [spec.network]: { IPAMConfig: { IPv4Address: spec.address } } },
          },
        }
      : {}),
  };
}

/** Limits as Docker's create and update calls take them. Memory and swap together are no more than the memory. */
export const toLimits = ({ memoryBytes, cpus, pids }: Limits) => ({
  Memory: memoryBytes,
  MemorySwap: memoryBytes,
  NanoCpus: Math.round(cpus * 1e9),
  PidsLimit: pids,
});

export function toVolume(info: Docker.VolumeInspectInfo): VolumeSummary {
  const created = (info as { CreatedAt?: string }).CreatedAt;
  return {
    name: info.Name,
    mountpoint: info.Mountpoint,
    labels: info.Labels ?? {},
    createdAt: created ? new Date(created) : undefined,
  };
}

function toGpus(gpus: ContainerGpu[]): Docker.HostConfig {
  const ids = gpus.filter(({ kind }) => kind === "nvidia").map(({ id }) => id);
  const devices = [...new Set(gpus.flatMap((gpu) => gpu.devices))];
  const groups = [...new Set(gpus.flatMap((gpu) => gpu.groups))];
  return {
    ...(ids.length > 0
      ? { DeviceRequests: [{ Driver: "", DeviceIDs: ids, Capabilities: [["gpu"]] }] }
      : {}),
    ...(devices.length > 0
      ? {
          Devices: devices.map((path) => ({
            ...{ PathOnHost: path, PathInContainer: path, CgroupPermissions: "rwm" },
          })),
          GroupAdd: groups.map(String),
        }
      : {}),
  };
}

function toMount(mount: VolumeMount): Docker.MountSettings {
  return {
    Type: "volume",
    Source: mount.source,
    Target: mount.target,
    ReadOnly: mount.readonly,
    VolumeOptions: {
      NoCopy: !mount.copyUp,
      Labels: mount.labels,
      DriverConfig: { Name: "local", Options: {} },
    },
  };
}

const toTmpfs = (tmpfs: Tmpfs): [string, string] => [
  tmpfs.target,
  `rw,nosuid,nodev,${tmpfs.exec ? "exec" : "noexec"},size=${tmpfs.sizeBytes},mode=${tmpfs.mode.toString(8)}${
    tmpfs.owner === undefined ? "" : `,uid=${tmpfs.owner},gid=${tmpfs.owner}`
  }`,
];

const STATES: Record<string, ContainerState> = {
  created: "created",
  configured: "created",
  running: "running",
  restarting: "running",
  paused: "paused",
  removing: "stopped",
  exited: "stopped",
  stopped: "stopped",
  dead: "stopped",
};

const toState = (state: string): ContainerState => STATES[state] ?? "stopped";

export function toSummary(info: Docker.ContainerInfo): ContainerSummary {
  return {
    id: info.Id,
    name: (info.Names[0] ?? "").replace(/^\//, ""),
    image: info.Image,
    state: toState(info.State),
    createdAt: new Date(info.Created * 1000),
    labels: info.Labels ?? {},
  };
}

export function toDetails(info: Docker.ContainerInspectInfo): ContainerDetails {
  const startedAt = new Date(info.State.StartedAt);
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ""),
    image: info.Config.Image,
    state: toState(info.State.Status),
    createdAt: new Date(info.Created),
    labels: info.Config.Labels ?? {},
    env: Object.fromEntries((info.Config.Env ?? []).map(splitEnv)),
    // Docker writes year 1 for "never".
    startedAt: startedAt.getUTCFullYear() > 1 ? startedAt : undefined,
    pid: info.State.Pid ?? 0,
    exitCode: info.State.ExitCode ?? 0,
    oomKilled: info.State.OOMKilled ?? false,
    hostnameFile: info.HostnamePath ?? "",
    hostsFile: info.HostsPath ?? "",
    security: toSecurity(info),
  };
}

function splitEnv(line: string): [string, string] {
  const at = line.indexOf("=");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}

/** One line of the engine's events. */
export function toEvent(line: unknown): EngineEvent {
  const event = line as {
    Action: string;
    timeNano: number;
    Actor: { ID: string; Attributes: Record<string, string> };
  };
  return {
    action: event.Action,
    containerId: event.Actor.ID,
    labels: event.Actor.Attributes,
    time: new Date(event.timeNano / 1e6),
  };
}

export function toStats(raw: Docker.ContainerStats): ContainerStats {
  const memory = raw.memory_stats ?? {};
  const cache = memory.stats?.inactive_file ?? memory.stats?.total_inactive_file ?? 0;
  const networks = Object.values(raw.networks ?? {});
  const io = raw.blkio_stats?.io_service_bytes_recursive ?? [];
  const sum = (op: string) =>
    io
      .filter((entry) => entry.op.toLowerCase() === op)
      .reduce((total, entry) => total + entry.value, 0);
  return {
    cpuNanos: raw.cpu_stats?.cpu_usage?.total_usage ?? 0,
    readAt: new Date(raw.read),
    memoryUsageBytes: Math.max(0, (memory.usage ?? 0) - cache),
    memoryLimitBytes: memory.limit ?? 0,
    pids: raw.pids_stats?.current ?? 0,
    networkRxBytes: networks.reduce((total, network) => total + network.rx_bytes, 0),
    networkTxBytes: networks.reduce((total, network) => total + network.tx_bytes, 0),
    blockReadBytes: sum("read"),
    blockWriteBytes: sum("write"),
  };
}

// Go's os.FileMode bits, which Docker's archive calls use.
const GO_DIR = 2 ** 31;
const GO_SYMLINK = 2 ** 27;
const GO_TYPE = GO_DIR | GO_SYMLINK | (2 ** 26) | (2 ** 25) | (2 ** 24) | (2 ** 21) | (2 ** 19);

/** Reads the X-Docker-Container-Path-Stat header. */
export function toPathStat(header: string): PathStat {
  const stat = JSON.parse(Buffer.from(header, "base64").toString("utf8")) as Record<
    string,
    unknown
  >;
  const mode = Number(stat.mode);
  return {
    name: String(stat.name),
    size: Number(stat.size),
    type: mode & GO_DIR ? "dir" : mode & GO_SYMLINK ? "symlink" : mode & GO_TYPE ? "other" : "file",
    mode: mode & 0o777,
    mtime: new Date(String(stat.mtime)),
    linkTarget: stat.linkTarget ? String(stat.linkTarget) : undefined,
  };
}

const KINDS: Record<number, EngineErrorKind> = {
  400: "invalid",
  404: "not_found",
  // Networks that are in use, and subnets that are taken.
  403: "conflict",
  409: "conflict",
};
const UNREACHABLE = new Set([
  "ECONNREFUSED",
  "ENOENT",
  "EACCES",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENOTFOUND",
]);

/** Any failure of dockerode as our error. */
export function toEngineError(what: string, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause;
  const { statusCode, code, json, message } = cause as {
    statusCode?: number;
    code?: string;
    json?: { message?: string };
    message?: string;
  };
  if (statusCode === undefined) {
    const unreachable = UNREACHABLE.has(code ?? "") || message === "socket hang up";
    const text = unreachable
      ? `The container engine can't be reached (${code ?? message}). Is it running?`
      : `${what} failed: ${message ?? String(cause)}`;
    return new EngineError(unreachable ? "unavailable" : "failed", text, { cause });
  }
  const why = json?.message ?? message ?? "";
  // Engines before 23 answer an unpause of what is not paused with status 500.
  const kind = / is not paused$/.test(why) ? "conflict" : KINDS[statusCode];
  return new EngineError(kind ?? "failed", `${what} failed: ${why}`, { cause });
}
