import type { Space } from "@clawdspace/client";
import { Moon, Play, Trash2, X } from "lucide-react";
import { Button, IconButton } from "../../components/button.js";
import { useLifecycle } from "./actions.js";

interface Props {
  chosen: Space[];
  total: number;
  onAll: () => void;
  onNone: () => void;
  onRemove: () => void;
}

/** What can be done with all that are selected. */
export function BulkBar({ chosen, total, onAll, onNone, onRemove }: Props) {
  const lifecycle = useLifecycle();
  const awake = chosen.filter(({ status }) => status === "running").map(({ name }) => name);
  const others = chosen.filter(({ status }) => status !== "running").map(({ name }) => name);
  return (
    <div className="bulk-bar" role="toolbar" aria-label="Selected spaces">
      <strong className="num">{chosen.length}</strong> selected
      {chosen.length < total && (
        <Button kind="quiet" small onClick={onAll}>
          All {total}
        </Button>
      )}
      <span className="grow" />
      <Button
        small
        icon={<Play />}
        disabled={others.length === 0}
        busy={lifecycle.isPending && lifecycle.variables.verb === "start"}
        onClick={() => lifecycle.mutate({ verb: "start", names: others })}
      >
        Wake
      </Button>
      <Button
        small
        icon={<Moon />}
        disabled={awake.length === 0}
        busy={lifecycle.isPending && lifecycle.variables.verb === "stop"}
        onClick={() => lifecycle.mutate({ verb: "stop", names: awake })}
      >
        Sleep
      </Button>
      <Button small icon={<Trash2 />} onClick={onRemove}>
        Remove…
      </Button>
      <IconButton label="Select none" onClick={onNone}>
        <X size={16} />
      </IconButton>
    </div>
  );
}
