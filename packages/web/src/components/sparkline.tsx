import { memo } from "react";

const WIDTH = 100;
const HEIGHT = 24;

interface Props {
  kind: "cpu" | "memory";
  values: number[];
  /** What the top edge stands for; where left out the largest value. */
  max?: number;
  label: string;
}

/** A small line of how something went; its newest value is at the right. */
export const Sparkline = memo(function Sparkline({ kind, values, max, label }: Props) {
  const top = Math.max(max ?? 0, ...values, 1e-9);
  const step = WIDTH / Math.max(1, values.length - 1);
  const y = (value: number) => HEIGHT - 1 - (value / top) * (HEIGHT - 3);
  const points = values.map(
    (value, index) => `${(index * step).toFixed(1)} ${y(value).toFixed(1)}`,
  );
  const line = points.length > 1 ? `M${points.join("L")}` : `M0 ${HEIGHT - 1}H${WIDTH}`;
  return (
    <svg
      className={`spark ${kind}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {points.length > 1 && <path className="area" d={`${line}V${HEIGHT}H0Z`} />}
      <path className="line" d={line} opacity={points.length > 1 ? 1 : 0.35} />
    </svg>
  );
});
