import type { FileEntry } from "@clawdspace/client";
import { ChevronRight, File, FileImage, FileText, Folder, FolderOpen, Link2 } from "lucide-react";
import { useState } from "react";
import { Failure } from "../../components/feedback.js";
import { bytes } from "../../lib/format.js";
import { join, previewOf } from "./paths.js";
import { useFolder } from "./use-files.js";

interface Props {
  space: string;
  path: string;
  depth: number;
  selected: string | undefined;
  onSelect: (entry: FileEntry) => void;
}

/** The entries of a folder; folders open below themselves. */
export function Tree({ space, path, depth, selected, onSelect }: Props) {
  const folder = useFolder(space, path);
  if (folder.error) return <Failure error={folder.error} />;
  if (!folder.data) return <div className="skeleton tree-wait" />;
  if (folder.data.length === 0) return <p className="dim tree-empty">Empty</p>;
  return (
    <ul>
      {folder.data.map((entry) => (
        <TreeItem
          key={entry.pathBase64 ?? entry.name}
          {...{ space, depth, selected, onSelect }}
          entry={{ ...entry, path: join(path, entry.name) }}
        />
      ))}
    </ul>
  );
}

interface ItemProps extends Omit<Props, "path"> {
  entry: FileEntry;
}

function TreeItem({ space, entry, depth, selected, onSelect }: ItemProps) {
  const [open, setOpen] = useState(false);
  const isFolder = entry.type === "dir";
  return (
    <li>
      <button
        type="button"
        className="tree-item"
        aria-current={selected === entry.path || undefined}
        {...(isFolder ? { "aria-expanded": open } : {})}
        style={{ paddingLeft: 10 + depth * 14 }}
        onClick={() => {
          if (isFolder) setOpen(!open);
          onSelect(entry);
        }}
      >
        {isFolder ? (
          <ChevronRight className={`tree-arrow${open ? " open" : ""}`} aria-hidden="true" />
        ) : (
          <span className="tree-arrow" />
        )}
        <Icon entry={entry} open={open} />
        <span className="clip grow">{entry.name}</span>
        {entry.type === "file" && <span className="dim num">{bytes(entry.size)}</span>}
      </button>
      {isFolder && open && (
        <Tree path={entry.path} {...{ space, selected, onSelect }} depth={depth + 1} />
      )}
    </li>
  );
}

function Icon({ entry, open }: { entry: FileEntry; open: boolean }) {
  const props = { className: "tree-icon", "aria-hidden": true } as const;
  if (entry.type === "dir") return open ? <FolderOpen {...props} /> : <Folder {...props} />;
  if (entry.type === "symlink") return <Link2 {...props} />;
  const preview = previewOf(entry.name);
  if (preview === "image") return <FileImage {...props} />;
  return preview === "markdown" ? <FileText {...props} /> : <File {...props} />;
}
