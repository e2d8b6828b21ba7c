import type { FileEntry } from "@clawdspace/client";
import { useQuery } from "@tanstack/react-query";
import {
  ArrowLeft,
  Download,
  FilePlus,
  FolderTree,
  TextCursorInput,
  Trash2,
  Upload,
} from "lucide-react";
import { type DragEvent, lazy, Suspense, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { Button, IconButton } from "../../components/button.js";
import { Empty } from "../../components/feedback.js";
import { Meter } from "../../components/meter.js";
import { isAwake, queries } from "../../lib/queries.js";
import { useMay } from "../../lib/session.js";
import { FileDialogs, type FileQuestion } from "./file-dialogs.js";
import { downloadUrl, nameOf, parentOf } from "./paths.js";
import { Tree } from "./tree.js";
import { filesOf } from "./upload.js";
import { useUpload, useWatch } from "./use-files.js";

const FileView = lazy(() => import("./file-view.js"));

/** The files of a space: the tree beside what is chosen in it. */
export default function FilesPane({ space }: { space: string }) {
  const state = useQuery(queries.space(space)).data;
  const [params, setParams] = useSearchParams();
  const opened = params.get("file") ?? undefined;
  const [entry, setEntry] = useState<FileEntry>();
  const [question, setQuestion] = useState<FileQuestion>();
  const [dragging, setDragging] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const { share, start } = useUpload(space);
  const may = useMay("agent");
  useWatch(space, state !== undefined && isAwake(state));

  const selected = entry?.path ?? opened;
  const isFolder = entry?.type === "dir";
  const folder = selected === undefined ? "/" : isFolder ? selected : parentOf(selected);
  const open = (path: string | undefined) => setParams(path === undefined ? {} : { file: path });
  const onSelect = (next: FileEntry) => {
    setEntry(next);
    if (next.type === "file") open(next.path);
  };
  const onDrop = async (event: DragEvent) => {
    event.preventDefault();
    setDragging(false);
    await start(folder, await filesOf(event.dataTransfer));
  };

  return (
    <div
      className="split files"
      data-open={opened !== undefined || undefined}
      data-dragging={dragging || undefined}
      onDragOver={(event) => {
        event.preventDefault();
        setDragging(may);
      }}
      onDragLeave={() => setDragging(false)}
      onDrop={(event) => void (may && onDrop(event))}
    >
      <section className="split-list" aria-label="Files">
        <div className="files-bar">
          <span className="mono clip grow dim" title={folder}>
            /workspace{folder === "/" ? "" : folder}
          </span>
          {may && (
            <>
              <IconButton
                label="New file or folder"
                onClick={() => setQuestion({ ask: "make", folder })}
              >
                <FilePlus size={16} />
              </IconButton>
              <IconButton label="Upload" onClick={() => picker.current?.click()}>
                <Upload size={16} />
              </IconButton>
            </>
          )}
          <a
            className="icon-button"
            aria-label={`Download ${isFolder ? nameOf(folder) : "the folder"}`}
            title="Download the folder"
            href={downloadUrl(space, folder, true)}
            download={`${nameOf(folder) || space}.zip`}
          >
            <Download size={16} />
          </a>
          {may && isFolder && selected && (
            <>
              <IconButton
                label="Rename the folder"
                onClick={() => setQuestion({ ask: "rename", path: selected })}
              >
                <TextCursorInput size={16} />
              </IconButton>
              <IconButton
                label="Delete the folder"
                onClick={() => setQuestion({ ask: "remove", path: selected })}
              >
                <Trash2 size={15} />
              </IconButton>
            </>
          )}
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            aria-label="Files to upload"
            onChange={(event) => {
              const chosen = [...(event.target.files ?? [])];
              void start(
                folder,
                chosen.map((data) => ({ name: data.name, data })),
              );
              event.target.value = "";
            }}
          />
        </div>
        {share !== undefined && <Meter label="Upload" share={share} />}
        <div className="tree">
          <Tree space={space} path="/" depth={0} selected={selected} onSelect={onSelect} />
        </div>
        {dragging && <p className="drop-note">Drop to upload to /workspace{folder}</p>}
      </section>
      {opened === undefined ? (
        <Empty
          icon={<FolderTree />}
          title="Files live in /workspace"
          action={
            may && (
              <Button icon={<Upload />} onClick={() => picker.current?.click()}>
                Upload files
              </Button>
            )
          }
        >
          Choose one to look at it or to edit it, or drop files and folders here.
        </Empty>
      ) : (
        <Suspense fallback={<div className="pane-wait" />}>
          <FileView
            key={opened}
            space={space}
            path={opened}
            readOnly={!may}
            back={
              <IconButton label="All files" className="mobile-only" onClick={() => open(undefined)}>
                <ArrowLeft size={17} />
              </IconButton>
            }
            onRename={() => setQuestion({ ask: "rename", path: opened })}
            onRemove={() => setQuestion({ ask: "remove", path: opened })}
          />
        </Suspense>
      )}
      {question && (
        <FileDialogs
          space={space}
          question={question}
          onClose={() => setQuestion(undefined)}
          onDone={(path) => {
            setQuestion(undefined);
            setEntry(undefined);
            open(path);
          }}
        />
      )}
    </div>
  );
}
