import type { SpaceStatus } from "@clawdspace/client";

export const STATUS_NAMES: Record<SpaceStatus, string> = {
  running: "Running",
  paused: "Asleep",
  stopped: "Stopped",
};
const CHIPS: Record<SpaceStatus, string> = { running: "awake", paused: "asleep", stopped: "" };

export const StatusDot = ({ status }: { status: SpaceStatus }) => (
  <span className={`dot ${status}`} role="img" aria-label={STATUS_NAMES[status]} />
);

export const StatusChip = ({ status }: { status: SpaceStatus }) => (
  <span className={`chip ${CHIPS[status]}`}>{STATUS_NAMES[status]}</span>
);
