import type { Space } from "@clawdspace/client";
import { useState } from "react";
import { Button } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { useRemove } from "./actions.js";

interface Props {
  spaces: Space[];
  onClose: () => void;
  onRemoved?: () => void;
}

const NAMED = 4;

/** Asks before spaces are removed; says which volumes hold their files, and keeps them unless told otherwise. */
export default function RemoveDialog({ spaces, onClose, onRemoved }: Props) {
  const [keep, setKeep] = useState(true);
  const remove = useRemove();
  const [first] = spaces;
  const volumes = spaces.flatMap(({ volume }) => (volume ? [volume.name] : []));
  const title = spaces.length === 1 ? `Remove ${first?.name}?` : `Remove ${spaces.length} spaces?`;
  const submit = async () => {
    const names = spaces.map(({ name }) => name);
    await remove.mutateAsync({ names, removeVolume: !keep }).then(onRemoved, () => {});
    onClose();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={title}
      description="What runs in there ends at once. The container is gone for good."
    >
      <div className="body">
        <div className="volume-choice">
          <p className="dim">
            {volumes.length === 1
              ? "Its files are in the volume"
              : "Their files are in the volumes"}
          </p>
          {volumes.slice(0, NAMED).map((name) => (
            <code key={name}>{name}</code>
          ))}
          {volumes.length > NAMED && <p className="dim">and {volumes.length - NAMED} more</p>}
        </div>
        <label className="check">
          <input type="checkbox" checked={keep} onChange={() => setKeep(!keep)} />
          {volumes.length === 1 ? "Keep the volume" : "Keep the volumes"}
        </label>
        <p className="dim">
          {keep
            ? "A new space of the same name finds the files again."
            : "The files are deleted too. This can't be undone."}
        </p>
      </div>
      <footer>
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="danger" busy={remove.isPending} onClick={() => void submit()}>
          {keep ? "Remove" : "Remove with files"}
        </Button>
      </footer>
    </Dialog>
  );
}
