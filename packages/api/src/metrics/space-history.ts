import { setTimeout as delay } from "node:timers/promises";
import type { MetricsPoint } from "@clawdspace/protocol";
import type { ContainerStats } from "../engine/engine.js";
import type { SpaceRegistry } from "../spaces/registry.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { Sampler } from "../system/sampler.js";
import { Series } from "./series.js";

const KEPT_MS = 3600_000;
/** How long other work has its turn after each sample, which takes half of that. */
const BREATH_MS = 1;

/** What a rate is made of, in the order of a point's values. */
const RATES = ["networkRxBytes", "networkTxBytes", "blockReadBytes", "blockWriteBytes"] as const;

/** What each running space used in the last hour. One timer serves all; a space costs some kilobytes. */
export class SpaceHistory {
  readonly #series = new Map<string, { series: Series; last: ContainerStats | undefined }>();
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  /** @param intervalMs between two points; 0 keeps no history. */
  constructor(
    private readonly registry: Pick<SpaceRegistry, "known">,
    private readonly sampler: Pick<Sampler, "sample">,
    readonly intervalMs: number,
  ) {}

  start(): void {
    if (this.intervalMs === 0) return;
    this.#timer = setInterval(() => void this.round(), this.intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Oldest first; nothing for the time in which the space slept. */
  of(entry: SpaceEntry): MetricsPoint[] {
    const oldest = new Date(Date.now() - KEPT_MS);
    const { series } = this.#series.get(entry.id) ?? {};
    return [...(series?.since(oldest) ?? [])].map(({ at, values }) => {
      const [cpuPercent = 0, memoryUsageBytes = 0, rx = 0, tx = 0, read = 0, write = 0] = values;
      return {
        ts: at.toISOString(),
        cpuPercent: Math.round(cpuPercent * 100) / 100,
        memoryUsageBytes,
        networkRxBytesPerSecond: Math.round(rx),
        networkTxBytesPerSecond: Math.round(tx),
        blockReadBytesPerSecond: Math.round(read),
        blockWriteBytesPerSecond: Math.round(write),
      };
    });
  }

  forget(entry: SpaceEntry): void {
    this.#series.delete(entry.id);
  }

  /** Takes one point of every running space. */
  async round(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const running = this.registry.known().filter(({ state }) => state === "running");
      for (const entry of running) {
        await this.#take(entry);
        await delay(BREATH_MS);
      }
    } finally {
      this.#busy = false;
    }
  }

  async #take(entry: SpaceEntry): Promise<void> {
    // A space may go while it is looked at.
    const sample = await this.sampler.sample(entry).catch(() => undefined);
    if (!sample || entry.state !== "running") return;
    const { now } = sample;
    const kept = this.#series.get(entry.id) ?? {
      series: new Series(Math.ceil(KEPT_MS / this.intervalMs), 2 + RATES.length),
      last: undefined,
    };
    const before = isRecent(kept.last, now, this.intervalMs) ? kept.last : sample.before;
    const seconds = Math.max(0.001, (now.readAt.getTime() - before.readAt.getTime()) / 1000);
    const cpu = (now.cpuNanos - before.cpuNanos) / 1e9;
    const rates = RATES.map((name) => Math.max(0, now[name] - before[name]) / seconds);
    kept.series.add(now.readAt, [
      Math.max(0, (100 * cpu) / seconds),
      now.memoryUsageBytes,
      ...rates,
    ]);
    kept.last = now;
    this.#series.set(entry.id, kept);
  }
}

/** Whether the point before is the one right before: no sleep and no restart lies between. */
const isRecent = (
  last: ContainerStats | undefined,
  now: ContainerStats,
  intervalMs: number,
): last is ContainerStats =>
  last !== undefined &&
  now.readAt.getTime() - last.readAt.getTime() < 2 * intervalMs &&
  now.cpuNanos >= last.cpuNanos;
