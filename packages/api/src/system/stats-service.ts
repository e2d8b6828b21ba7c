import type { Observability, SpaceStats } from "@clawdspace/protocol";
import type { ContainerStats, Engine } from "../engine/engine.js";
import type { Guest, GuestTableEntry } from "../guest/types.js";
import { WORKSPACE } from "../spaces/container-spec.js";
import type { Guests } from "../spaces/guests.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { SpaceService } from "../spaces/space-service.js";
import { readCgroupStats } from "./cgroup-stats.js";

/** With no earlier sample to compare with, one is taken this long before. */
const FIRST_SAMPLE_MS = 100;
const HISTORY_TAIL_BYTES = 8192;

/** What a space uses now. Looking never wakes a space. */
export class StatsService {
  readonly #samples = new Map<string, ContainerStats>();

  constructor(
    private readonly engine: Engine,
    private readonly spaces: Pick<SpaceService, "find">,
    private readonly guests: Guests,
  ) {}

  /** Throws `not_found`. A stopped space uses nothing. */
  async stats(name: string): Promise<SpaceStats> {
    return await this.#statsOf(await this.spaces.find(name));
  }

  /** Statistics, and what only the space's inside knows while it runs: disk, processes, the end of the shell's history. */
  async observability(name: string): Promise<Observability> {
    const entry = await this.spaces.find(name);
    const stats = await this.#statsOf(entry);
    if (entry.state !== "running" || !entry.spec.guest) return { stats };
    const guest = await this.guests.of(entry);
    const [disk, table, history] = await Promise.all([
      guest.files.statvfs(),
      guest.processTable(),
      historyTail(guest),
    ]);
    const usedBytes = disk.totalBytes - disk.freeBytes;
    return {
      stats,
      workspaceDisk: {
        path: WORKSPACE,
        totalBytes: disk.totalBytes,
        usedBytes,
        availBytes: disk.availableBytes,
        usedPercent: round((100 * usedBytes) / (usedBytes + disk.availableBytes)),
      },
      top: table.map((each) => toTop(each, entry)),
      ...(history === undefined ? {} : { bashHistoryTail: history }),
    };
  }

  forget(entry: SpaceEntry): void {
    this.#samples.delete(entry.id);
  }

  async #statsOf(entry: SpaceEntry): Promise<SpaceStats> {
    if (entry.state !== "running" && entry.state !== "paused") {
      return toSpaceStats(NOTHING, NOTHING, entry.spec.memoryBytes);
    }
    const before = this.#samples.get(entry.id) ?? (await this.#firstSample(entry));
    const now = await this.#sample(entry);
    this.#samples.set(entry.id, now);
    return toSpaceStats(before, now, entry.spec.memoryBytes);
  }

  async #firstSample(entry: SpaceEntry): Promise<ContainerStats> {
    const sample = await this.#sample(entry);
    await new Promise((resolve) => setTimeout(resolve, FIRST_SAMPLE_MS));
    return sample;
  }

  async #sample(entry: SpaceEntry): Promise<ContainerStats> {
    const { pid } = await this.engine.inspectContainer(entry.id);
    return (await readCgroupStats(pid, entry.id)) ?? (await this.engine.stats(entry.id));
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

/** Two samples as what the wire tells; 100 percent is one CPU in full use. */
export function toSpaceStats(
  before: ContainerStats,
  now: ContainerStats,
  memoryLimit: number,
): SpaceStats {
  const elapsedNanos = (now.readAt.getTime() - before.readAt.getTime()) * 1e6;
  const usedNanos = now.cpuNanos - before.cpuNanos;
  const { cpuNanos: _cpuNanos, readAt: _readAt, ...counters } = now;
  return {
    ...counters,
    cpuPercent: elapsedNanos > 0 ? round(Math.max(0, (100 * usedNanos) / elapsedNanos)) : 0,
    memoryLimitBytes: memoryLimit,
  };
}

function toTop(each: GuestTableEntry, entry: SpaceEntry) {
  const seconds = Math.max(0, (Date.now() - each.startedAt.getTime()) / 1000);
  return {
    pid: each.pid,
    cpu: seconds > 0 ? round(each.cpuMs / 10 / seconds) : 0,
    mem: round((100 * each.rssBytes) / entry.spec.memoryBytes),
    etime: elapsed(seconds),
    command: each.argv.map((argument) => argument.toString("utf8")).join(" "),
  };
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

async function historyTail(guest: Guest): Promise<string | undefined> {
  try {
    const stat = await guest.files.stat(".bash_history");
    const offset = Math.max(0, stat.size - HISTORY_TAIL_BYTES);
    const { stream } = await guest.files.read(".bash_history", {
      offset,
      length: HISTORY_TAIL_BYTES,
    });
    const pieces: Buffer[] = [];
    for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece);
    return Buffer.concat(pieces).toString("utf8");
  } catch {
    return undefined;
  }
}

const round = (value: number) => Math.round(value * 100) / 100;
