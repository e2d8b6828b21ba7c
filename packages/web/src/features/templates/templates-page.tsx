import { ClawdspaceError } from "@clawdspace/client";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { FileStack, Lock, Plus, Save, Trash2, TriangleAlert } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { NavLink, useNavigate, useParams } from "react-router";
import { api } from "../../api.js";
import { Button } from "../../components/button.js";
import CodeEditor from "../../components/code-editor.js";
import { Empty, Failure } from "../../components/feedback.js";
import { toast } from "../../components/toast.js";
import { queries } from "../../lib/queries.js";
import { useMay } from "../../lib/session.js";
import { completeTemplate } from "./template-schema.js";

const NEW = "new~";
const DRAFT = `name: my-template
description: What it is for
resources:
  memory: 2g
  cpus: 1
network:
  mode: internet
`;

export default function TemplatesPage() {
  const { name } = useParams();
  const templates = useQuery(queries.templates());
  const navigate = useNavigate();
  const mayEdit = useMay("admin");
  const chosen = templates.data?.find((each) => each.name === name);
  return (
    <>
      <header className="page-head">
        <h1 className="grow">Templates</h1>
        {mayEdit && (
          <Button icon={<Plus />} onClick={() => navigate(`/templates/${NEW}`)}>
            New template
          </Button>
        )}
      </header>
      {templates.error && <Failure error={templates.error} />}
      <div className="split" data-open={name !== undefined || undefined}>
        <nav className="split-list" aria-label="Templates">
          {templates.data?.map((each) => (
            <NavLink key={each.name} to={`/templates/${each.name}`} className="split-item">
              <span className="row">
                <strong className="clip grow">{each.name}</strong>
                {each.managed && <Lock size={13} aria-label="Owned by the system" />}
                {each.error && <TriangleAlert size={14} aria-label="At fault" />}
              </span>
              <span className="dim clip">{each.error ?? each.description}</span>
            </NavLink>
          ))}
        </nav>
        {name === undefined ? (
          <Empty icon={<FileStack />} title="Choose a template">
            A template says what a space may use and reach: memory, CPUs, image, network, sleep.
          </Empty>
        ) : (
          <TemplateEditor
            key={name}
            name={name === NEW ? undefined : name}
            readOnly={!mayEdit || chosen?.managed === true}
          />
        )}
      </div>
    </>
  );
}

function TemplateEditor({ name, readOnly }: { name: string | undefined; readOnly: boolean }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const source = useQuery({ ...queries.template(name ?? ""), enabled: name !== undefined });
  const [text, setText] = useState(name === undefined ? DRAFT : "");
  const saved = source.data?.yaml ?? "";
  useEffect(() => {
    if (source.data) setText(source.data.yaml);
  }, [source.data]);
  const changed = name === undefined || text !== saved;

  const save = useMutation({
    meta: { quiet: true },
    mutationFn: () => api.templates.put(text),
    onSuccess: async (template) => {
      toast.done(`${template.name} is saved`);
      await client.invalidateQueries({ queryKey: ["templates"] });
      await client.invalidateQueries({ queryKey: ["template"] });
      if (template.name !== name) void navigate(`/templates/${template.name}`);
    },
  });
  const remove = useMutation({
    mutationFn: () => api.templates.delete(name ?? ""),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["templates"] });
      void navigate("/templates");
    },
  });
  const issues = useMemo(
    () => (save.error instanceof ClawdspaceError ? (save.error.issues ?? []) : []),
    [save.error],
  );
  const faults = useMemo(
    () =>
      issues.map(({ line, path, message }) => ({
        line: line ?? 1,
        message: path ? `${path}: ${message}` : message,
      })),
    [issues],
  );
  if (source.error) return <Failure error={source.error} />;

  return (
    <section className="editor-pane" aria-label={name ?? "New template"}>
      <div className="editor-bar">
        <strong className="mono clip grow">{name ?? "new template"}</strong>
        {readOnly && <span className="chip">read-only</span>}
        {!readOnly && name !== undefined && (
          <Button
            small
            kind="quiet"
            icon={<Trash2 />}
            busy={remove.isPending}
            onClick={() => remove.mutate()}
          >
            Delete
          </Button>
        )}
        {!readOnly && (
          <Button
            small
            kind="primary"
            icon={<Save />}
            disabled={!changed}
            busy={save.isPending}
            onClick={() => save.mutate()}
          >
            Save
          </Button>
        )}
      </div>
      {save.error && faults.length === 0 && <Failure error={save.error} />}
      {(name === undefined || source.data) && (
        <CodeEditor
          name={`${name ?? "template"}.yaml`}
          value={text}
          readOnly={readOnly}
          faults={faults}
          completion={completeTemplate}
          onChange={setText}
          onSave={() => changed && !readOnly && save.mutate()}
        />
      )}
      {faults.length > 0 && (
        <div className="fault-list" role="alert">
          <ul>
            {faults.map(({ line, message }) => (
              <li key={`${line}${message}`}>
                <span className="chip danger num">line {line}</span> {message}
              </li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}
