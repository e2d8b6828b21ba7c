import type { FastifyBaseLogger } from "fastify";
import type { Recorder } from "../audit/recorder.js";
import { EngineError } from "../engine/engine.js";
import { readCgroupStats } from "../system/cgroup-stats.js";
import type { ActivityStore } from "./activity-store.js";
import type { SpaceRegistry } from "./registry.js";
import type { SpaceEntry } from "./space-entry.js";
import type { SpaceService } from "./space-service.js";

const MIN_CHECK_MS = 100;
const MAX_CHECK_MS = 10_000;
/** A space that uses more than this share of one CPU is at work, whoever started it. */
const BUSY_CPU_SHARE = 0.05;
/** A stop takes seconds; one that hangs must not keep all others awake. */
const AT_ONCE = 8;

interface Parts {
  spaces: SpaceService;
  registry: SpaceRegistry;
  activity: ActivityStore;
  recorder: Pick<Recorder, "begin">;
  log: FastifyBaseLogger;
}

interface Times {
  /** Unused and not busy for this long, a space is paused; 0 is never. A space's own template wins. */
  idleTimeoutMs: number;
  /** Unused for this long, a paused space is stopped, which frees its memory; 0 is never. */
  stopAfterMs: number;
}

/** Puts spaces to sleep that nobody uses. One timer serves all; the shortest timeout of those awake sets its pace. */
export class AutoSleep {
  readonly #cpu = new Map<string, { nanos: number; at: number }>();
  #timer: NodeJS.Timeout | undefined;
  /** When the timer is due. */
  #due = 0;
  #stopped = false;
  #looked = false;

  constructor(
    private readonly parts: Parts,
    private readonly times: Times,
  ) {}

  start(): void {
    const { registry } = this.parts;
    registry.onAdded((entry) => this.#noLaterThan(entry));
    registry.onChange(({ entry }) => this.#noLaterThan(entry));
    this.#schedule(MAX_CHECK_MS);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#due = Date.now() + ms;
    this.#timer = setTimeout(() => void this.#tick(), ms).unref();
  }

  #noLaterThan(entry: SpaceEntry): void {
    const ms = this.#checkAfter(entry);
    if (Date.now() + ms < this.#due) this.#schedule(ms);
  }

  /** How long a space can be left alone until it is looked at. */
  #checkAfter({ state, spec }: SpaceEntry): number {
    const timeout =
      state === "running"
        ? (spec.sleep?.idleTimeoutMs ?? this.times.idleTimeoutMs)
        : state === "paused"
          ? this.times.stopAfterMs
          : 0;
    if (timeout === 0) return MAX_CHECK_MS;
    return Math.min(MAX_CHECK_MS, Math.max(MIN_CHECK_MS, timeout / 4));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // Before the engine has told which spaces there are, what is in the file is all that is known.
    if (this.#looked) await this.#save();
  }

  async #tick(): Promise<void> {
    // Until this round has ended there is no next one.
    this.#due = 0;
    const { registry, log } = this.parts;
    try {
      const waiting = await registry.all();
      this.#looked = true;
      const work = async () => {
        for (let entry = waiting.pop(); entry; entry = waiting.pop()) {
          await this.#check(entry).catch((error: unknown) =>
            log.warn({ err: error, space: entry?.name }, "could not put a space to sleep"),
          );
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      await this.#save();
    } catch (error) {
      log.warn({ err: error }, "could not look for idle spaces");
    }
    this.#schedule(
      Math.min(MAX_CHECK_MS, ...registry.known().map((entry) => this.#checkAfter(entry))),
    );
  }

  async #save(): Promise<void> {
    await this.parts.activity.save(this.parts.registry.known());
  }

  async #check(entry: SpaceEntry): Promise<void> {
    const { spaces } = this.parts;
    if (entry.uses > 0) return;
    const idleTimeoutMs = entry.spec.sleep?.idleTimeoutMs ?? this.times.idleTimeoutMs;
    if (entry.state === "running" && idleTimeoutMs > 0) {
      const work = await this.#work(entry);
      if (work === "busy") entry.touch();
      if (work !== "idle") return;
      await this.#toSleep("space.pause", entry, idleTimeoutMs, (since) =>
        spaces.pauseIfIdle(entry, since),
      );
    } else if (entry.state === "paused" && this.times.stopAfterMs > 0) {
      await this.#toSleep("space.stop", entry, this.times.stopAfterMs, (since) =>
        spaces.stopIfIdle(entry, since),
      );
    }
  }

  /** Does it and logs it, where the space is idle; while nothing can be logged it stays as it is. */
  async #toSleep(
    type: "space.pause" | "space.stop",
    entry: SpaceEntry,
    idleMs: number,
    sleep: (idleSince: Date) => Promise<boolean>,
  ): Promise<void> {
    const idleSince = new Date(Date.now() - idleMs);
    if (entry.lastActivity >= idleSince) return;
    const operation = await this.parts.recorder.begin({
      type,
      space: entry.name,
      actor: "system",
      meta: { reason: "idle", idleSince: entry.lastActivity.toISOString() },
    });
    try {
      if (await sleep(idleSince)) await operation.finish();
      else await operation.cancel();
    } catch (error) {
      const code = error instanceof EngineError ? "engine_unavailable" : "internal";
      await operation.finish({ outcome: "error", code });
      throw error;
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
