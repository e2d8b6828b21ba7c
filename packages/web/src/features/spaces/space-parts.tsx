import type { Space } from "@clawdspace/client";
import { useQuery } from "@tanstack/react-query";
import { EllipsisVertical } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { IconButton } from "../../components/button.js";
import { Sparkline } from "../../components/sparkline.js";
import { ago, bytes, clock, percent } from "../../lib/format.js";
import { useNow } from "../../lib/now.js";
import { isAwake, queries } from "../../lib/queries.js";

const SHOWN_POINTS = 60;

/** What a space used lately, as two small lines. */
export function Usage({ space }: { space: Space }) {
  const { data } = useQuery(queries.metrics(space.name, isAwake(space)));
  const points = data?.points.slice(-SHOWN_POINTS) ?? [];
  const last = points.at(-1);
  const awake = isAwake(space) && last !== undefined;
  const cpu = awake ? percent(last.cpuPercent) : "–";
  const memory = awake ? bytes(last.memoryUsageBytes) : "–";
  return (
    <>
      <div className="usage">
        <Sparkline
          kind="cpu"
          label={`CPU ${cpu}`}
          values={points.map(({ cpuPercent }) => cpuPercent)}
          max={space.cpus * 25}
        />
        <span className="num">{cpu}</span>
      </div>
      <div className="usage">
        <Sparkline
          kind="memory"
          label={`Memory ${memory}`}
          values={points.map(({ memoryUsageBytes }) => memoryUsageBytes)}
          max={space.memory / 4}
        />
        <span className="num">{memory}</span>
      </div>
    </>
  );
}

/** When it was used last, and when it falls asleep unless it is used before. */
export function Activity({ space }: { space: Space }) {
  const now = useNow();
  const left = space.sleepsAt ? new Date(space.sleepsAt).getTime() - now : undefined;
  return (
    <div className="activity num">
      <span>{ago(space.lastActivity, now)}</span>
      <span className="dim">
        {space.status === "running" &&
          (left === undefined
            ? "stays awake"
            : left > 0
              ? `sleeps in ${clock(left)}`
              : "dozing off")}
        {space.status === "paused" && "wakes on use"}
        {space.status === "stopped" && "starts on use"}
      </span>
    </div>
  );
}

/** A line that shortens until the space falls asleep. */
export function Fuse({ space }: { space: Space }) {
  const now = useNow();
  if (!space.sleepsAt) return null;
  const end = new Date(space.sleepsAt).getTime();
  const whole = end - new Date(space.lastActivity).getTime();
  const share = Math.min(1, Math.max(0, (end - now) / whole));
  return <i className="fuse" aria-hidden="true" style={{ transform: `scaleX(${share})` }} />;
}

const SpaceMenu = lazy(() => import("./space-menu.js"));

/** What can be done with a space. The menu itself is made when it is first asked for: lists have many. */
export function SpaceActions({ space, onRemove }: { space: Space; onRemove: () => void }) {
  const [wanted, setWanted] = useState(false);
  const button = (
    <IconButton label={`Actions for ${space.name}`} onClick={() => setWanted(true)}>
      <EllipsisVertical size={17} />
    </IconButton>
  );
  if (!wanted) return button;
  return (
    <Suspense fallback={button}>
      <SpaceMenu space={space} onRemove={onRemove} />
    </Suspense>
  );
}
