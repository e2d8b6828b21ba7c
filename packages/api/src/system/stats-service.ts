import type { Observability, SpaceStats } from "@clawdspace/protocol";
import { HistoryFile } from "../audit/history-file.js";
import type { ContainerStats, Engine } from "../engine/engine.js";
import type { Guest } from "../guest/types.js";
import type { Guests } from "../spaces/guests.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { SpaceService } from "../spaces/space-service.js";
import { hostProcesses, type ProcessUse } from "./host-processes.js";
import type { Sample, Sampler } from "./sampler.js";
import { commandWorkspaceUse, guestWorkspaceUse } from "./workspace-use.js";

const HISTORY_TAIL_BYTES = 8192;
const MAX_TOP = 100;
/** A space that falls asleep while it is asked doesn't answer; what the node itself sees is told then. */
const GUEST_MS = 3000;

interface Parts {
  engine: Engine;
  spaces: Pick<SpaceService, "find">;
  guests: Guests;
  sampler: Sampler;
}

/** What a space uses now. Looking never wakes a space, nor keeps it awake. */
export class StatsService {
  constructor(private readonly parts: Parts) {}

  /** Throws `not_found`. A stopped space uses nothing. */
  async stats(name: string): Promise<SpaceStats> {
    return await this.#statsOf(await this.parts.spaces.find(name));
  }

  /** Statistics, and as far as they can be had from the space as it is: disk, processes, the end of the shells' history. */
  async observability(name: string): Promise<Observability> {
    const { engine, guests, spaces } = this.parts;
    const entry = await spaces.find(name);
    const running = entry.state === "running";
    const guest =
      running && entry.spec.guest ? await within(GUEST_MS, guests.of(entry)) : undefined;
    const workspace = guest
      ? within(GUEST_MS, guestWorkspaceUse(guest, entry.spec.diskBytes !== undefined))
      : running
        ? commandWorkspaceUse(engine, entry.id)
        : undefined;
    const [stats, use, processes, history] = await Promise.all([
      this.#statsOf(entry),
      workspace,
      processesOf(entry, guest),
      within(GUEST_MS, tailOf(new HistoryFile(engine, guests, entry))),
    ]);
    return {
      stats,
      ...use,
      ...(processes ? { top: toTop(processes, entry) } : {}),
      ...(history === undefined ? {} : { bashHistoryTail: history }),
    };
  }

  async #statsOf(entry: SpaceEntry): Promise<SpaceStats> {
    if (entry.state !== "running" && entry.state !== "paused") {
      return toSpaceStats({ before: NOTHING, now: NOTHING }, entry.spec.memoryBytes);
    }
    return toSpaceStats(await this.parts.sampler.sample(entry), entry.spec.memoryBytes);
  }
}

const NOTHING: ContainerStats = {
  cpuNanos: 0,
  readAt: new Date(0),
  memoryUsageBytes: 0,
  memoryLimitBytes: 0,
  pids: 0,
  networkRxBytes: 0,
  networkTxBytes: 0,
  blockReadBytes: 0,
  blockWriteBytes: 0,
};

/** Two readings as what the wire tells; 100 percent is one CPU in full use. */
export function toSpaceStats({ before, now }: Sample, memoryLimit: number): SpaceStats {
  const elapsedNanos = (now.readAt.getTime() - before.readAt.getTime()) * 1e6;
  const usedNanos = now.cpuNanos - before.cpuNanos;
  const { cpuNanos: _cpuNanos, readAt: _readAt, ...counters } = now;
  return {
    ...counters,
    cpuPercent: elapsedNanos > 0 ? round(Math.max(0, (100 * usedNanos) / elapsedNanos)) : 0,
    memoryLimitBytes: memoryLimit,
  };
}

async function processesOf(
  entry: SpaceEntry,
  guest: Guest | undefined,
): Promise<ProcessUse[] | undefined> {
  const table = guest && (await within(GUEST_MS, guest.processTable()));
  return table ?? hostProcesses(entry);
}

/** The processes that have used most, as ps would show them. */
function toTop(processes: ProcessUse[], entry: SpaceEntry) {
  return processes
    .map((each) => {
      const seconds = Math.max(0, (Date.now() - each.startedAt.getTime()) / 1000);
      return {
        pid: each.pid,
        cpu: seconds > 0 ? round(each.cpuMs / 10 / seconds) : 0,
        mem: round((100 * each.rssBytes) / entry.spec.memoryBytes),
        etime: elapsed(seconds),
        command: each.argv.map((argument) => argument.toString("utf8")).join(" "),
      };
    })
    .sort((a, b) => b.cpu - a.cpu || a.pid - b.pid)
    .slice(0, MAX_TOP);
}

/** Seconds as ps writes them: [[dd-]hh:]mm:ss. */
export function elapsed(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3600);
  const rest = `${two((seconds % 3600) / 60)}:${two(seconds % 60)}`;
  if (days > 0) return `${two(days)}-${two(hours)}:${rest}`;
  return hours > 0 ? `${two(hours)}:${rest}` : rest;
}

async function tailOf(history: HistoryFile): Promise<string | undefined> {
  const stat = await history.stat();
  if (!stat) return undefined;
  const offset = Math.max(0, stat.size - HISTORY_TAIL_BYTES);
  return (await history.read(offset, HISTORY_TAIL_BYTES)).toString("utf8");
}

/** What a promise resolves to; undefined where it fails or takes longer. */
async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined);
  });
  try {
    return await Promise.race([promise.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

const round = (value: number) => Math.round(value * 100) / 100;
