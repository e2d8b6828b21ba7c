import type { FastifyBaseLogger } from "fastify";
import { readCgroupStats } from "../system/cgroup-stats.js";
import type { ActivityStore } from "./activity-store.js";
import type { SpaceRegistry } from "./registry.js";
import type { SpaceEntry } from "./space-entry.js";
import type { SpaceService } from "./space-service.js";

const MIN_CHECK_MS = 100;
const MAX_CHECK_MS = 10_000;
/** A space that uses more than this share of one CPU is at work, whoever started it. */
const BUSY_CPU_SHARE = 0.05;

interface Parts {
  spaces: SpaceService;
  registry: SpaceRegistry;
  activity: ActivityStore;
  log: FastifyBaseLogger;
}

interface Times {
  /** Unused and not busy for this long, a space is paused; 0 is never. A space's own template wins. */
  idleTimeoutMs: number;
  /** Unused for this long, a paused space is stopped, which frees its memory; 0 is never. */
  stopAfterMs: number;
}

/** Puts spaces to sleep that nobody uses. One timer serves all. */
export class AutoSleep {
  readonly #cpu = new Map<string, { nanos: number; at: number }>();
  #timer: NodeJS.Timeout | undefined;
  #checking = false;

  constructor(
    private readonly parts: Parts,
    private readonly times: Times,
  ) {}

  start(): void {
    const shortest = Math.min(this.times.idleTimeoutMs || MAX_CHECK_MS * 4, MAX_CHECK_MS * 4);
    this.#timer = setInterval(() => void this.#tick(), Math.max(MIN_CHECK_MS, shortest / 4));
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#save();
  }

  async #tick(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      for (const entry of await this.parts.registry.all()) await this.#check(entry);
      await this.#save();
    } catch (error) {
      this.parts.log.warn({ err: error }, "could not look for idle spaces");
    } finally {
      this.#checking = false;
    }
  }

  async #save(): Promise<void> {
    await this.parts.activity.save(this.parts.registry.known());
  }

  async #check(entry: SpaceEntry): Promise<void> {
    const { spaces, log } = this.parts;
    if (entry.uses > 0) return;
    const idleTimeoutMs = entry.spec.sleep?.idleTimeoutMs ?? this.times.idleTimeoutMs;
    if (entry.state === "running" && idleTimeoutMs > 0) {
      const work = await this.#work(entry);
      if (work === "busy") entry.touch();
      if (work !== "idle") return;
      if (await spaces.pauseIfIdle(entry, before(idleTimeoutMs))) {
        log.info({ space: entry.name }, "paused an idle space");
      }
    } else if (entry.state === "paused" && this.times.stopAfterMs > 0) {
      if (await spaces.stopIfIdle(entry, before(this.times.stopAfterMs))) {
        log.info({ space: entry.name }, "stopped a space that slept for long");
      }
    }
  }

  /** What the space has done with the CPU since the last check; where its counters can't be read it counts as idle. */
  async #work(entry: SpaceEntry): Promise<"idle" | "busy" | "unknown"> {
    if (entry.spec.sleep?.keepAwakeWhileBusy === false) return "idle";
    const stats = await readCgroupStats(entry.pid, entry.id);
    if (!stats) return "idle";
    const now = { nanos: stats.cpuNanos, at: stats.readAt.getTime() };
    const last = this.#cpu.get(entry.id);
    this.#cpu.set(entry.id, now);
    if (!last || now.at <= last.at) return "unknown";
    const share = (now.nanos - last.nanos) / ((now.at - last.at) * 1e6);
    return share > BUSY_CPU_SHARE ? "busy" : "idle";
  }

  forget(entry: SpaceEntry): void {
    this.#cpu.delete(entry.id);
  }
}

const before = (milliseconds: number) => new Date(Date.now() - milliseconds);
