import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { WarmPool } from "../pool/warm-pool.js";
import type { SpaceChange, SpaceRegistry } from "../spaces/registry.js";

/** Event-loop lag is sampled this often: each sample wakes the process. */
const LAG_EVERY_MS = 100;
const REQUEST_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2.5, 10];
const EXEC_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 300, 1800];

/** The daemon's own measurements, as Prometheus reads them. */
export class Metrics {
  readonly #registry = new Registry();

  readonly requests = new Counter({
    name: "clawdspace_http_requests_total",
    help: "Requests that were answered",
    labelNames: ["method", "route", "status"],
    registers: [this.#registry],
  });
  readonly requestSeconds = new Histogram({
    name: "clawdspace_http_request_duration_seconds",
    help: "How long the answers of a route took",
    labelNames: ["route"],
    buckets: REQUEST_SECONDS,
    registers: [this.#registry],
  });
  readonly execs = new Histogram({
    name: "clawdspace_exec_duration_seconds",
    help: "Commands that were waited for, from their request to their end",
    labelNames: ["outcome"],
    buckets: EXEC_SECONDS,
    registers: [this.#registry],
  });
  readonly #changes = new Counter({
    name: "clawdspace_space_changes_total",
    help: "Spaces created, started, paused, woken, stopped, removed, out of memory",
    labelNames: ["change"],
    registers: [this.#registry],
  });
  readonly #wakes = new Counter({
    name: "clawdspace_wakes_total",
    help: "Sleeping spaces that were woken, by what they slept as",
    labelNames: ["from"],
    registers: [this.#registry],
  });
  readonly engineCalls = new Counter({
    name: "clawdspace_engine_calls_total",
    help: "Calls to the container engine",
    labelNames: ["call"],
    registers: [this.#registry],
  });
  readonly engineErrors = new Counter({
    name: "clawdspace_engine_errors_total",
    help: "Calls to the container engine that failed",
    labelNames: ["call", "kind"],
    registers: [this.#registry],
  });

  constructor() {
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: LAG_EVERY_MS,
    });
  }

  /** Counts the spaces of a registry, and what becomes of them. */
  watch(spaces: Pick<SpaceRegistry, "known" | "onChange">): void {
    new Gauge({
      name: "clawdspace_spaces",
      help: "Spaces by state",
      labelNames: ["state"],
      registers: [this.#registry],
      collect() {
        for (const state of ["running", "paused", "stopped"]) this.set({ state }, 0);
        for (const { state } of spaces.known()) {
          this.inc({ state: state === "created" ? "stopped" : state });
        }
      },
    });
    spaces.onChange(({ type }: SpaceChange) => {
      this.#changes.inc({ change: type });
      if (type === "woken") this.#wakes.inc({ from: "paused" });
      if (type === "started") this.#wakes.inc({ from: "stopped" });
    });
  }

  /** Tells how many containers wait to become spaces. */
  watchPool(pool: Pick<WarmPool, "ready">): void {
    new Gauge({
      name: "clawdspace_pool_ready",
      help: "Containers that wait to become spaces",
      registers: [this.#registry],
      collect() {
        this.set(pool.ready);
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything, in Prometheus' text format. */
  async text(): Promise<string> {
    return await this.#registry.metrics();
  }
}
