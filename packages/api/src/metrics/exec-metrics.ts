import type { RecorderListener } from "../audit/recorder.js";
import type { Metrics } from "./metrics.js";

/** Measures the commands that the audit log is told of. */
export const measureExecs = ({ execs }: Pick<Metrics, "execs">): RecorderListener => ({
  began: () => {},
  logged({ type, meta }) {
    if (type !== "space.exec" || typeof meta?.durationMs !== "number") return;
    const outcome = meta.outcome === "ok" ? (meta.exitCode === 0 ? "ok" : "exit") : "error";
    execs.observe({ outcome }, meta.durationMs / 1000);
  },
});
