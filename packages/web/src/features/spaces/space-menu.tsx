import type { Space } from "@clawdspace/client";
import { EllipsisVertical, FolderTree, Moon, Play, SquareTerminal, Trash2 } from "lucide-react";
import { useNavigate } from "react-router";
import { IconButton } from "../../components/button.js";
import { Menu, MenuItem, MenuLine } from "../../components/menu.js";
import { isAwake } from "../../lib/queries.js";
import { useMay } from "../../lib/session.js";
import { useLifecycle } from "./actions.js";

export default function SpaceMenu({ space, onRemove }: { space: Space; onRemove: () => void }) {
  const navigate = useNavigate();
  const lifecycle = useLifecycle();
  const may = useMay("agent");
  const change = (verb: "start" | "stop") => lifecycle.mutate({ verb, names: [space.name] });
  return (
    <Menu
      defaultOpen
      trigger={
        <IconButton label={`Actions for ${space.name}`}>
          <EllipsisVertical size={17} />
        </IconButton>
      }
    >
      <MenuItem
        icon={<SquareTerminal />}
        disabled={!may}
        onSelect={() => navigate(`/spaces/${space.name}/terminal`)}
      >
        Terminal
      </MenuItem>
      <MenuItem icon={<FolderTree />} onSelect={() => navigate(`/spaces/${space.name}/files`)}>
        Files
      </MenuItem>
      <MenuLine />
      {isAwake(space) ? (
        <MenuItem icon={<Moon />} disabled={!may} onSelect={() => change("stop")}>
          Put to sleep
        </MenuItem>
      ) : (
        <MenuItem icon={<Play />} disabled={!may} onSelect={() => change("start")}>
          {space.status === "paused" ? "Wake" : "Start"}
        </MenuItem>
      )}
      <MenuItem icon={<Trash2 />} danger disabled={!may} onSelect={onRemove}>
        Remove…
      </MenuItem>
    </Menu>
  );
}
