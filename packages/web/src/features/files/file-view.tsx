import { ClawdspaceError } from "@clawdspace/client";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Download, Eye, Pencil, RefreshCw, Save, TextCursorInput, Trash2 } from "lucide-react";
import { lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { api } from "../../api.js";
import { Button, IconButton } from "../../components/button.js";
import CodeEditor from "../../components/code-editor.js";
import { Failure } from "../../components/feedback.js";
import { toast } from "../../components/toast.js";
import { bytes } from "../../lib/format.js";
import { ImagePreview } from "./image-preview.js";
import { downloadUrl, MAX_SHOWN_BYTES, nameOf, previewOf, textOf } from "./paths.js";

const MarkdownPreview = lazy(() => import("./markdown-preview.js"));

interface Props {
  space: string;
  path: string;
  readOnly: boolean;
  back: ReactNode;
  onRename: () => void;
  onRemove: () => void;
}

interface Content {
  size: number;
  etag: string | undefined;
  data: Uint8Array<ArrayBuffer> | undefined;
}

async function read(space: string, path: string): Promise<Content> {
  const { files } = api.space(space);
  const { size, etag } = await files.stat(path);
  const data = size > MAX_SHOWN_BYTES ? undefined : await files.read(path);
  return { size, etag, data };
}

/** One file: edited as text, or shown as what it is. A change by somebody else is noticed before it would be overwritten. */
export default function FileView({ space, path, readOnly, back, onRename, onRemove }: Props) {
  const client = useQueryClient();
  const key = ["file", space, path];
  const file = useQuery({ queryKey: key, queryFn: () => read(space, path), gcTime: 0 });
  const text = file.data?.data && textOf(file.data.data);
  const [draft, setDraft] = useState<string>();
  const kind = previewOf(path);
  const [raw, setRaw] = useState(false);
  const changed = draft !== undefined && draft !== text;
  const shown = draft ?? text ?? "";

  const stat = useQuery({
    queryKey: ["stat", space, path],
    queryFn: () => api.space(space).files.stat(path),
    enabled: file.isSuccess,
  });
  const etag = file.data?.etag;
  const stale = etag !== undefined && stat.data?.etag !== undefined && stat.data.etag !== etag;
  // What was not edited here simply follows.
  useEffect(() => {
    if (stale && !changed) void file.refetch();
  }, [stale, changed, file.refetch]);

  const save = useMutation({
    meta: { quiet: true },
    mutationFn: async ({ force }: { force: boolean }) => {
      const condition = force || etag === undefined ? {} : { ifMatch: `"${etag}"` };
      const saved = shown;
      const written = await api.space(space).files.write(path, saved, condition);
      return { written, saved };
    },
    onSuccess: ({ written, saved }) => {
      const data = new TextEncoder().encode(saved);
      client.setQueryData<Content>(key, { size: data.length, etag: written.etag, data });
      void client.invalidateQueries({ queryKey: ["stat", space, path] });
      // What was typed meanwhile stays.
      setDraft((typed) => (typed === saved ? undefined : typed));
      toast.done(`${nameOf(path)} is saved`);
    },
  });
  const conflict =
    save.error instanceof ClawdspaceError && save.error.code === "precondition_failed";
  const reload = async () => {
    save.reset();
    setDraft(undefined);
    await file.refetch();
  };

  const isText = text !== undefined && kind !== "image";
  const preview = kind !== "text" && !raw && text !== undefined && kind === "markdown";
  return (
    <section className="editor-pane" aria-label={nameOf(path)}>
      <div className="editor-bar">
        {back}
        <strong className="mono clip">{path}</strong>
        <span className="dim num grow clip">
          {file.data && <span className="wide-only">{bytes(file.data.size)}</span>}
          {changed && " · not saved"}
        </span>
        {kind === "markdown" && text !== undefined && (
          <Button small kind="quiet" icon={raw ? <Eye /> : <Pencil />} onClick={() => setRaw(!raw)}>
            {raw ? "Preview" : "Edit"}
          </Button>
        )}
        <a
          className="icon-button"
          aria-label={`Download ${nameOf(path)}`}
          title="Download"
          href={downloadUrl(space, path, false)}
          download={nameOf(path)}
        >
          <Download size={16} />
        </a>
        {!readOnly && (
          <>
            <IconButton label="Rename" onClick={onRename}>
              <TextCursorInput size={16} />
            </IconButton>
            <IconButton label="Delete" onClick={onRemove}>
              <Trash2 size={15} />
            </IconButton>
          </>
        )}
        {isText && !readOnly && !preview && (
          <Button
            small
            kind="primary"
            icon={<Save />}
            disabled={!changed}
            busy={save.isPending}
            onClick={() => save.mutate({ force: false })}
          >
            Save
          </Button>
        )}
      </div>
      {(conflict || (stale && changed)) && (
        <div className="conflict" role="alert">
          <span className="grow">
            Somebody else changed this file meanwhile. Your text isn't saved.
          </span>
          <Button small icon={<RefreshCw />} onClick={() => void reload()}>
            Take theirs
          </Button>
          <Button small kind="danger" onClick={() => save.mutate({ force: true })}>
            Overwrite with mine
          </Button>
        </div>
      )}
      {save.error && !conflict && <Failure error={save.error} />}
      {file.error && <Failure error={file.error} onRetry={() => void file.refetch()} />}
      {file.isPending && <div className="pane-wait" />}
      {file.data && kind === "image" && file.data.data && (
        <ImagePreview name={nameOf(path)} data={file.data.data} />
      )}
      {preview && (
        <Suspense fallback={<div className="pane-wait" />}>
          <MarkdownPreview text={shown} />
        </Suspense>
      )}
      {isText && !preview && (
        <CodeEditor
          name={nameOf(path)}
          value={shown}
          readOnly={readOnly}
          onChange={setDraft}
          onSave={() => changed && save.mutate({ force: false })}
        />
      )}
      {file.data && text === undefined && kind !== "image" && (
        <p className="pane dim">
          {file.data.data
            ? "This is no text."
            : `${bytes(file.data.size)} are too much to show here.`}{" "}
          <a className="link" href={downloadUrl(space, path, false)} download={nameOf(path)}>
            Download it
          </a>
        </p>
      )}
    </section>
  );
}
