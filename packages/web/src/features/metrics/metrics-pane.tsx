import type { MetricsPoint } from "@clawdspace/client";
import { useQuery } from "@tanstack/react-query";
import { Activity } from "lucide-react";
import { useMemo } from "react";
import { Empty, Failure } from "../../components/feedback.js";
import { bytes, percent } from "../../lib/format.js";
import { isAwake, queries } from "../../lib/queries.js";
import { BYTE_STEPS } from "./axis.js";
import { Chart } from "./chart.js";

const perSecond = (value: number) => `${bytes(value)}/s`;
/** Longer than this between two points, the space slept. */
const GAP = 3;

/** What a space used in the last hour. */
export default function MetricsPane({ space }: { space: string }) {
  const state = useQuery(queries.space(space)).data;
  const awake = state !== undefined && isAwake(state);
  const history = useQuery(queries.metrics(space, awake));
  const data = useMemo(() => {
    const points = withGaps(history.data?.points ?? [], history.data?.intervalMs ?? 0);
    const of = (name: Exclude<keyof MetricsPoint, "ts">) =>
      points.map(({ point }) => (point ? point[name] : null));
    return {
      times: points.map(({ time }) => time),
      cpu: [{ name: "CPU", colour: "--claw", values: of("cpuPercent") }],
      memory: [{ name: "Memory", colour: "--asleep", values: of("memoryUsageBytes") }],
      network: [
        { name: "In", colour: "--awake", values: of("networkRxBytesPerSecond") },
        { name: "Out", colour: "--claw", values: of("networkTxBytesPerSecond") },
      ],
      disk: [
        { name: "Read", colour: "--awake", values: of("blockReadBytesPerSecond") },
        { name: "Written", colour: "--claw", values: of("blockWriteBytesPerSecond") },
      ],
    };
  }, [history.data]);
  if (history.error) return <Failure error={history.error} />;
  if (history.isSuccess && data.times.length < 2) {
    return (
      <Empty icon={<Activity />} title="Nothing measured yet">
        A point is noted every {Math.round((history.data.intervalMs || 15_000) / 1000)} s while the
        space is awake, and kept for an hour.
      </Empty>
    );
  }
  const inBytes = { times: data.times, steps: BYTE_STEPS, atLeast: 1024 };
  return (
    <div className="pane chart-grid" tabIndex={0}>
      <Chart title="CPU, of one core" times={data.times} series={data.cpu} format={percent} />
      <Chart title="Memory" {...inBytes} series={data.memory} format={bytes} />
      <Chart title="Network" {...inBytes} series={data.network} format={perSecond} />
      <Chart title="Disk" {...inBytes} series={data.disk} format={perSecond} />
    </div>
  );
}

/** The points with an empty one where the space slept, so that no line is drawn over it. */
function withGaps(points: MetricsPoint[], intervalMs: number) {
  return points.flatMap((point, index) => {
    const time = new Date(point.ts).getTime() / 1000;
    const before = points[index - 1];
    const passed = before ? time * 1000 - new Date(before.ts).getTime() : 0;
    const gap = passed > intervalMs * GAP ? [{ time: time - 1, point: undefined }] : [];
    return [...gap, { time, point }];
  });
}
