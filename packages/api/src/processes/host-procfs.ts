import { readdirSync, readFileSync } from "node:fs";
import { type ProcessRow, parseEnviron, parseStat } from "./process-tree.js";

/**
 * A container's processes as the engine's own machine sees them. Only there, and only for root, is there one:
 * elsewhere the number that the engine calls the container's pid belongs to something else, or to nothing.
 */
export class HostProcfs {
  private constructor(
    private readonly containerId: string,
    /** Of the container's first process. */
    readonly initPid: number,
    private readonly procsFile: string | undefined,
  ) {}

  /** @param initPid of the container's first process, as the engine tells it. undefined where it is not to be seen here. */
  static of(containerId: string, initPid: number): HostProcfs | undefined {
    const cgroups = cgroupsOf(containerId, initPid);
    if (cgroups === undefined) return undefined;
    return new HostProcfs(containerId, initPid, procsFileOf(cgroups));
  }

  rows(): ProcessRow[] {
    return this.#pids().flatMap((pid) => this.row(pid) ?? []);
  }

  /** One of the container's processes; undefined where it has ended or is none of them. */
  row(pid: number): ProcessRow | undefined {
    if (!readText(`/proc/${pid}/cgroup`)?.includes(this.containerId)) return undefined;
    const stat = parseStat(readText(`/proc/${pid}/stat`) ?? "");
    if (!stat) return undefined;
    return { pid, ...stat, ...parseEnviron(readBytes(`/proc/${pid}/environ`)) };
  }

  /** The pid by which a process knows itself inside. */
  pidInside(pid: number): number | undefined {
    const line = /^NSpid:\s*(.*)$/m.exec(readText(`/proc/${pid}/status`) ?? "")?.[1];
    const inner = Number(line?.split(/\s+/).at(-1));
    return Number.isSafeInteger(inner) && inner > 0 ? inner : undefined;
  }

  argv(pid: number): Buffer[] {
    const line = readBytes(`/proc/${pid}/cmdline`) ?? Buffer.alloc(0);
    return splitNul(line.subarray(0, 4096));
  }

  /** @returns whether it was still there. It is looked at once more first, since a pid can be given anew. */
  kill(row: ProcessRow, signal: NodeJS.Signals): boolean {
    if (this.row(row.pid)?.startTicks !== row.startTicks) return false;
    try {
      return process.kill(row.pid, signal);
    } catch {
      return false;
    }
  }

  #pids(): number[] {
    const listed = this.procsFile && readText(this.procsFile);
    const names = listed ? listed.split("\n") : readdirSync("/proc");
    return names.map(Number).filter((pid) => Number.isSafeInteger(pid) && pid > 1);
  }
}

/**
 * The cgroups of a container's process.
 * @param folder what /proc tells of the process
 * @returns undefined where it is none of the container's, or not to be seen here: on another machine, or without root
 */
export function cgroupsOf(
  containerId: string,
  pid: number,
  folder = `/proc/${pid}`,
): string | undefined {
  if (pid <= 1 || process.platform !== "linux" || process.getuid?.() !== 0) return undefined;
  const cgroups = readText(`${folder}/cgroup`);
  return cgroups?.includes(containerId) ? cgroups : undefined;
}

/** The file in which the kernel lists the container's processes, so that not all of the machine's need a look. */
function procsFileOf(cgroups: string): string | undefined {
  const roots: Record<string, string> = {
    "": "/sys/fs/cgroup",
    pids: "/sys/fs/cgroup/pids",
    memory: "/sys/fs/cgroup/memory",
  };
  for (const line of cgroups.split("\n")) {
    const [, controller = "?", path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const file = path && roots[controller] && `${roots[controller]}${path}/cgroup.procs`;
    if (file && readText(file)) return file;
  }
  return undefined;
}

export function splitNul(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0, at);
    parts.push(bytes.subarray(at, end < 0 ? undefined : end));
    at = end < 0 ? bytes.length : end + 1;
  }
  return parts;
}

// Synchronous: these are files of the kernel's memory, read within microseconds.
function readBytes(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

const readText = (path: string) => readBytes(path)?.toString("latin1");
