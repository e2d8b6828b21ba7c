import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { timeOfDay } from "./axis.js";

interface Series {
  name: string;
  /** A variable of the style sheet. */
  colour: string;
  values: (number | null)[];
}

interface Props {
  title: string;
  times: number[];
  series: Series[];
  format: (value: number) => string;
  /** Distances between ticks that read well in `format`; those of decimal numbers where left out. */
  steps?: number[];
  /** What the axis reaches at least. */
  atLeast?: number;
}

const HEIGHT_PX = 190;

/** Time series on one axis; the pointer tells the values of a moment, in all charts of the page at once. */
export function Chart({ title, times, series, format, steps, atLeast = 1 }: Props) {
  const place = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--ink-3"),
      font: "12px 'Geist Variable', sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT_PX,
        padding: [6, 10, 0, 0],
        cursor: { sync: { key: "space" }, points: { size: 7 } },
        scales: { y: { range: (_plot, _min, max) => [0, Math.max(max * 1.15, atLeast)] } },
        axes: [
          {
            ...axis,
            size: 30,
            space: 72,
            values: (_plot, ticks, _axis, _space, step) =>
              ticks.map((tick) => timeOfDay(tick, step)),
          },
          {
            ...axis,
            size: 64,
            values: (_plot, ticks) => ticks.map(format),
            ...(steps ? { incrs: steps } : {}),
          },
        ],
        legend: { live: true },
        series: [
          { value: (_plot, time) => (time ? new Date(time * 1000).toLocaleTimeString() : "") },
          ...series.map(({ name, colour: variable }) => ({
            label: name,
            stroke: colour(variable),
            width: 1.75,
            fill: `${colour(variable)}14`,
            spanGaps: false,
            points: { show: false },
            value: (_plot: uPlot, value: number | null) => (value === null ? "–" : format(value)),
          })),
        ],
      },
      [times, ...series.map(({ values }) => values)],
      element,
    );
    const observer = new ResizeObserver(() =>
      plot.setSize({ width: element.clientWidth, height: HEIGHT_PX }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
    // A new measurement draws the chart anew: there are a few hundred points.
  }, [times, series, format, steps, atLeast]);

  return (
    <figure className="panel chart">
      <figcaption>{title}</figcaption>
      <div ref={place} />
    </figure>
  );
}
