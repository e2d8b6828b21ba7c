import { ClawdspaceError, type CreateProgress, type Template } from "@clawdspace/client";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useMemo, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { parse } from "yaml";
import { api } from "../../api.js";
import { Button } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { Failure } from "../../components/feedback.js";
import { Field } from "../../components/field.js";
import { toast } from "../../components/toast.js";
import { queries } from "../../lib/queries.js";
import { lookAgain } from "./actions.js";
import { type CreateForm, describeNetwork, EMPTY_FORM, toRequest } from "./create-form.js";
import { CreateSteps } from "./create-steps.js";
import { EnvEditor } from "./env-editor.js";

/** Makes a space. Fields that are left empty follow the chosen template; faults show at the field that the daemon names. */
export default function CreateDialog({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [form, setForm] = useState<CreateForm>(EMPTY_FORM);
  const [progress, setProgress] = useState<CreateProgress[]>([]);
  const abort = useRef<AbortController>(undefined);
  const templates = useQuery(queries.templates()).data ?? [];
  const nodes = useQuery(queries.nodes()).data?.nodes ?? [];
  const template = useTemplate(form.template);
  const set = (change: Partial<CreateForm>) => setForm({ ...form, ...change });

  const create = useMutation({
    meta: { quiet: true },
    mutationFn: async () => {
      setProgress([]);
      abort.current = new AbortController();
      const onProgress = (each: CreateProgress) => setProgress((old) => merged(old, each));
      return await api.spaces.create(toRequest(form), {
        onProgress,
        signal: abort.current.signal,
      });
    },
    onSuccess: async ({ name, info }) => {
      await lookAgain(client);
      toast.done(`${name} is ready`);
      const node = form.node === "" || form.node === "auto" ? info?.node : form.node;
      const elsewhere = nodes.some((each) => each.name === node && !each.self);
      void navigate(`/spaces/${elsewhere ? `${name}@${node}` : name}/terminal`);
    },
  });
  const issues = create.error instanceof ClawdspaceError ? (create.error.issues ?? []) : [];
  const fault = (path: string) => issues.find((issue) => issue.path === path)?.message;
  const known = ["name", "template", "memory", "cpus", "image", "repoUrl", "repoBranch", "node"];
  const shownAtField = issues.some(({ path }) => known.includes(path) || path.startsWith("env"));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  const resources = template?.resources;
  const text = (name: "name" | "memory" | "cpus" | "image" | "repoUrl" | "repoBranch") => ({
    className: "input",
    name,
    value: form[name],
    autoComplete: "off",
    spellCheck: false,
    onChange: (event: React.ChangeEvent<HTMLInputElement>) => set({ [name]: event.target.value }),
  });

  return (
    <Dialog
      open
      wide
      onClose={() => {
        abort.current?.abort();
        onClose();
      }}
      title="New space"
    >
      <form onSubmit={submit} noValidate>
        <div className="body">
          <div className="columns">
            <Field label="Name" fault={fault("name")}>
              <input {...text("name")} autoFocus placeholder="dev" />
            </Field>
            <Field
              label="Template"
              fault={fault("template")}
              hint={templates.find(({ name }) => name === form.template)?.description}
            >
              <select
                className="input"
                name="template"
                value={form.template}
                onChange={(event) => set({ template: event.target.value })}
              >
                {templates.map(({ name, error }) => (
                  <option key={name} disabled={error !== undefined}>
                    {name}
                  </option>
                ))}
              </select>
            </Field>
            <Field label="Memory" fault={fault("memory")} hint="Such as 512m or 4g">
              <input
                {...text("memory")}
                placeholder={`${resources?.memory ?? "2g"}, as the template says`}
              />
            </Field>
            <Field label="CPUs" fault={fault("cpus")} hint="Such as 0.5 or 2">
              <input
                {...text("cpus")}
                inputMode="decimal"
                placeholder={`${resources?.cpus ?? 1}, as the template says`}
              />
            </Field>
          </div>
          {nodes.length > 1 && (
            <Field label="Node" fault={fault("node")}>
              <select
                className="input"
                name="node"
                value={form.node}
                onChange={(event) => set({ node: event.target.value })}
              >
                <option value="">This one</option>
                <option value="auto">Automatic: the one that suits best</option>
                {nodes
                  .filter(({ self }) => !self)
                  .map(({ name, status }) => (
                    <option key={name} disabled={status !== "online"}>
                      {name}
                    </option>
                  ))}
              </select>
            </Field>
          )}
          <Field
            label="Image"
            fault={fault("image")}
            hint={resources?.image ? undefined : "Debian with Python, Node.js, git and a compiler"}
          >
            <input {...text("image")} placeholder={resources?.image ?? "The node's own"} />
          </Field>
          <dl className="facts">
            <dt>Network</dt>
            <dd>{describeNetwork(template)}</dd>
            {template?.security?.writableRootfs === false && (
              <>
                <dt>Root file system</dt>
                <dd>Read-only</dd>
              </>
            )}
          </dl>
          <div className="columns wide-first">
            <Field
              label="Repository"
              fault={fault("repoUrl")}
              hint={
                template?.network?.mode === "none"
                  ? "This template has no network to clone from"
                  : undefined
              }
            >
              <input {...text("repoUrl")} placeholder="https://github.com/you/project" />
            </Field>
            <Field label="Branch" fault={fault("repoBranch")}>
              <input {...text("repoBranch")} placeholder="Its default" />
            </Field>
          </div>
          <EnvEditor env={form.env} onChange={(env) => set({ env })} issues={issues} />
          <label className="check">
            <input type="checkbox" checked={form.gpu} onChange={() => set({ gpu: !form.gpu })} />
            With the node's GPUs
          </label>
          {create.error && !shownAtField && <Failure error={create.error} />}
          {create.isPending && <CreateSteps progress={progress} />}
        </div>
        <footer>
          <Button
            onClick={() => {
              abort.current?.abort();
              onClose();
            }}
          >
            Cancel
          </Button>
          <Button kind="primary" type="submit" busy={create.isPending}>
            Create
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

function useTemplate(name: string): Template | undefined {
  const { data } = useQuery({ ...queries.template(name), enabled: name !== "" });
  return useMemo(() => {
    try {
      return data ? (parse(data.yaml) as Template) : undefined;
    } catch {
      return undefined;
    }
  }, [data]);
}

/** The newest word of each step. */
function merged(old: CreateProgress[], next: CreateProgress): CreateProgress[] {
  const same = old.findIndex(({ step }) => step === next.step);
  return same < 0 ? [...old, next] : old.with(same, next);
}
