import type { Issue } from "@clawdspace/client";
import { Plus, X } from "lucide-react";
import type { ClipboardEvent } from "react";
import { Button, IconButton } from "../../components/button.js";
import { type CreateForm, parseEnv } from "./create-form.js";

interface Props {
  env: CreateForm["env"];
  issues: Issue[];
  onChange: (env: CreateForm["env"]) => void;
}

/** Environment variables, one a line; an .env file can be pasted whole. */
export function EnvEditor({ env, issues, onChange }: Props) {
  const set = (index: number, change: Partial<CreateForm["env"][number]>) =>
    onChange(env.map((each, at) => (at === index ? { ...each, ...change } : each)));
  const paste = (event: ClipboardEvent, index: number) => {
    const pasted = parseEnv(event.clipboardData.getData("text"));
    if (pasted.length === 0) return;
    event.preventDefault();
    onChange([...env.slice(0, index), ...pasted, ...env.slice(index + 1)]);
  };
  const faults = issues.filter(({ path }) => path.startsWith("env"));
  return (
    <fieldset className="env-editor">
      <legend>Environment</legend>
      {env.map(({ name, value }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other identity
        <div className="row" key={index}>
          <input
            className="input mono"
            aria-label="Variable"
            placeholder="NAME"
            value={name}
            onPaste={(event) => paste(event, index)}
            onChange={(event) => set(index, { name: event.target.value })}
          />
          <input
            className="input mono"
            aria-label={`Value of ${name || "the variable"}`}
            placeholder="value"
            value={value}
            onChange={(event) => set(index, { value: event.target.value })}
          />
          <IconButton
            label={`Remove ${name || "the variable"}`}
            onClick={() => onChange(env.filter((_, at) => at !== index))}
          >
            <X size={16} />
          </IconButton>
        </div>
      ))}
      {faults.map(({ path, message }) => (
        <p className="fault" key={path}>
          {path.replace(/^env\.?/, "") || "Environment"}: {message}
        </p>
      ))}
      <Button
        kind="quiet"
        small
        icon={<Plus />}
        onClick={() => onChange([...env, { name: "", value: "" }])}
      >
        Add a variable
      </Button>
    </fieldset>
  );
}
