import { readFile } from "node:fs/promises";
import type { ContainerStats } from "../engine/engine.js";

const V1_ROOT = "/sys/fs/cgroup";

/**
 * A container's counters straight from the cgroup of its first process: a fraction of a millisecond where the engine
 * takes a second. undefined where this daemon can't see that cgroup (another machine's engine, no permission).
 */
export async function readCgroupStats(
  pid: number,
  containerId: string,
): Promise<ContainerStats | undefined> {
  try {
    const groups = parseCgroups(await readFile(`/proc/${pid}/cgroup`, "utf8"));
    // The pid comes from the engine's machine; that the path names the container proves that it is this one.
    if (![...groups.values()].some((path) => path.includes(containerId))) return undefined;
    const counters = groups.has("memory")
      ? await readV1(groups)
      : await readV2(groups.get("") ?? "");
    const network = parseNetDev(await readFile(`/proc/${pid}/net/dev`, "utf8"));
    return { ...counters, ...network, readAt: new Date() };
  } catch {
    return undefined;
  }
}

type Counters = Omit<ContainerStats, "readAt" | "networkRxBytes" | "networkTxBytes">;

async function readV1(groups: Map<string, string>): Promise<Counters> {
  const read = (controller: string, file: string) =>
    readFile(`${V1_ROOT}/${controller}${groups.get(controller) ?? ""}/${file}`, "utf8");
  const [cpu, usage, limit, memory, pids, io] = await Promise.all([
    read("cpuacct", "cpuacct.usage"),
    read("memory", "memory.usage_in_bytes"),
    read("memory", "memory.limit_in_bytes"),
    read("memory", "memory.stat"),
    read("pids", "pids.current"),
    read("blkio", "blkio.throttle.io_service_bytes").catch(() => ""),
  ]);
  const inactive = keyed(memory).get("total_inactive_file") ?? 0;
  return {
    cpuNanos: Number(cpu),
    memoryUsageBytes: Math.max(0, Number(usage) - inactive),
    memoryLimitBytes: Number(limit),
    pids: Number(pids),
    blockReadBytes: sumOf(io, /^\d+:\d+ Read (\d+)$/gm),
    blockWriteBytes: sumOf(io, /^\d+:\d+ Write (\d+)$/gm),
  };
}

async function readV2(path: string): Promise<Counters> {
  const read = (file: string) => readFile(`${V1_ROOT}${path}/${file}`, "utf8");
  const [cpu, usage, limit, memory, pids, io] = await Promise.all([
    read("cpu.stat"),
    read("memory.current"),
    read("memory.max"),
    read("memory.stat"),
    read("pids.current"),
    read("io.stat").catch(() => ""),
  ]);
  return {
    cpuNanos: (keyed(cpu).get("usage_usec") ?? 0) * 1000,
    memoryUsageBytes: Math.max(0, Number(usage) - (keyed(memory).get("inactive_file") ?? 0)),
    memoryLimitBytes: Number(limit) || 0,
    pids: Number(pids),
    blockReadBytes: sumOf(io, /\brbytes=(\d+)/g),
    blockWriteBytes: sumOf(io, /\bwbytes=(\d+)/g),
  };
}

/** Lines of "12:cpu,cpuacct:/docker/…" as controller → path; version 2 has one line with no controller. */
export function parseCgroups(text: string): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.+)$/.exec(line) ?? [];
    if (path !== undefined)
      for (const each of (controllers ?? "").split(",")) groups.set(each, path);
  }
  return groups;
}

/** Bytes received and sent over every interface but the loopback. */
export function parseNetDev(
  text: string,
): Pick<ContainerStats, "networkRxBytes" | "networkTxBytes"> {
  let networkRxBytes = 0;
  let networkTxBytes = 0;
  for (const line of text.split("\n")) {
    const [, name, numbers] = /^\s*([^:\s]+):\s*(.+)$/.exec(line) ?? [];
    if (numbers === undefined || name === "lo") continue;
    const columns = numbers.trim().split(/\s+/).map(Number);
    networkRxBytes += columns[0] ?? 0;
    networkTxBytes += columns[8] ?? 0;
  }
  return { networkRxBytes, networkTxBytes };
}

const keyed = (text: string) =>
  new Map(text.split("\n").map((line) => [line.split(" ")[0] ?? "", Number(line.split(" ")[1])]));

const sumOf = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
