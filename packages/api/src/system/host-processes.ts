import { readFileSync } from "node:fs";
import type { GuestTableEntry } from "../guest/types.js";
import { HostProcfs } from "../processes/host-procfs.js";
import type { SpaceEntry } from "../spaces/space-entry.js";

/** Clock ticks a second, on every Linux that Node.js runs on. */
const TICKS = 100;
const PAGE_BYTES = 4096;
const MAX_PROCESSES = 1000;

export type ProcessUse = Pick<GuestTableEntry, "pid" | "cpuMs" | "rssBytes" | "startedAt" | "argv">;

/**
 * A space's processes as the node's own /proc tells, also while the space sleeps or has no guest agent.
 * undefined where this daemon can't see them.
 */
export function hostProcesses(entry: SpaceEntry): ProcessUse[] | undefined {
  const host = HostProcfs.of(entry.id, entry.pid);
  const uptime = Number(read("/proc/uptime")?.split(" ")[0]);
  if (!host || !Number.isFinite(uptime)) return undefined;
  const bootedAt = Date.now() - uptime * 1000;
  return host
    .rows()
    .slice(0, MAX_PROCESSES)
    .flatMap(({ pid, startTicks }) => {
      const use = parseUse(read(`/proc/${pid}/stat`) ?? "");
      if (!use) return [];
      const startedAt = new Date(bootedAt + (startTicks * 1000) / TICKS);
      const argv = host.argv(pid);
      const named = argv.length > 0 ? argv : [Buffer.from(`[${use.name}]`)];
      const { cpuMs, rssBytes } = use;
      return [{ pid: host.pidInside(pid) ?? pid, cpuMs, rssBytes, startedAt, argv: named }];
    });
}

/** Reads a /proc/PID/stat. */
export function parseUse(
  stat: string,
): { name: string; cpuMs: number; rssBytes: number } | undefined {
  const [, name, rest] = /^\d+ \((.*)\) (.*)/s.exec(stat) ?? [];
  const fields = (rest ?? "").split(" ");
  const [user, system, pages] = [fields[11], fields[12], fields[21]].map(Number);
  if (name === undefined || user === undefined || system === undefined || pages === undefined) {
    return undefined;
  }
  return { name, cpuMs: ((user + system) * 1000) / TICKS, rssBytes: pages * PAGE_BYTES };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
