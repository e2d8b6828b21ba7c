import type { Space } from "@clawdspace/client";
import { memo } from "react";
import { Link } from "react-router";
import { StatusChip, StatusDot } from "../../components/status.js";
import { bytes } from "../../lib/format.js";
import { Activity, Fuse, SpaceActions, Usage } from "./space-parts.js";

export interface ItemProps {
  space: Space;
  selected: boolean;
  onSelect: (name: string, range: boolean) => void;
  onRemove: (space: Space) => void;
}

const sizeOf = ({ cpus, memory }: Space) => `${cpus} CPU · ${bytes(memory)}`;

function Select({ space, selected, onSelect }: ItemProps) {
  return (
    <label className="select">
      <input
        type="checkbox"
        checked={selected}
        aria-label={`Select ${space.name}`}
        onChange={(event) =>
          onSelect(space.name, (event.nativeEvent as unknown as MouseEvent).shiftKey === true)
        }
      />
    </label>
  );
}

export const SpaceRow = memo(function SpaceRow(props: ItemProps) {
  const { space, selected, onRemove } = props;
  return (
    <div className={`space-row ${space.status}`} data-selected={selected || undefined}>
      <Select {...props} />
      <div className="who">
        <StatusDot status={space.status} />
        <div className="grow">
          <Link className="name clip" to={`/spaces/${space.name}`}>
            {space.name}
          </Link>
          <p className="dim clip">{space.description ?? sizeOf(space)}</p>
        </div>
      </div>
      <div className="what">
        <p className="clip">{space.template ?? "default"}</p>
        <p className="dim clip mono">{space.image}</p>
      </div>
      <p className="clip dim where">{space.node}</p>
      <Usage space={space} />
      <Activity space={space} />
      <SpaceActions space={space} onRemove={() => onRemove(space)} />
      <Fuse space={space} />
    </div>
  );
});

export const SpaceCard = memo(function SpaceCard(props: ItemProps) {
  const { space, selected, onRemove } = props;
  return (
    <article className={`space-card ${space.status}`} data-selected={selected || undefined}>
      <header>
        <Select {...props} />
        <Link className="name clip grow" to={`/spaces/${space.name}`}>
          {space.name}
        </Link>
        <StatusChip status={space.status} />
        <SpaceActions space={space} onRemove={() => onRemove(space)} />
      </header>
      <p className="dim clip">
        {space.template ?? "default"} · {sizeOf(space)} · {space.node}
      </p>
      <p className="dim clip mono">{space.image}</p>
      <div className="card-usage">
        <Usage space={space} />
      </div>
      <Activity space={space} />
      <Fuse space={space} />
    </article>
  );
});
