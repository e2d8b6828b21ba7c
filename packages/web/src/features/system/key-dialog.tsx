import { ClawdspaceError, type CreateKeyRequest } from "@clawdspace/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "../../api.js";
import { Button } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { Failure } from "../../components/feedback.js";
import { Field } from "../../components/field.js";

interface Props {
  onClose: () => void;
  onCreated: (secret: string) => void;
}

export function KeyDialog({ onClose, onCreated }: Props) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<CreateKeyRequest["role"]>("agent");
  const [spaces, setSpaces] = useState("");
  const create = useMutation({
    meta: { quiet: true },
    mutationFn: () => {
      const patterns = spaces.split(/[\s,]+/).filter(Boolean);
      return api.keys.create({ name, role, ...(patterns.length > 0 ? { spaces: patterns } : {}) });
    },
    onSuccess: async ({ secret }) => {
      await client.invalidateQueries({ queryKey: ["keys"] });
      onCreated(secret);
    },
  });
  const issues = create.error instanceof ClawdspaceError ? (create.error.issues ?? []) : [];
  const fault = (field: string) => issues.find(({ path }) => path.startsWith(field))?.message;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Dialog open onClose={onClose} title="New key">
      <form onSubmit={submit} noValidate>
        <div className="body">
          <Field label="Name" fault={fault("name")} hint="The audit log tells who did what by it">
            <input
              className="input"
              autoFocus
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          </Field>
          <Field label="Role" fault={fault("role")}>
            <select
              className="input"
              value={role}
              onChange={(event) => setRole(event.target.value as typeof role)}
            >
              <option value="viewer">viewer: looks</option>
              <option value="agent">agent: uses spaces</option>
              <option value="admin">admin: does everything</option>
            </select>
          </Field>
          <Field
            label="Spaces"
            fault={fault("spaces")}
            hint="Names, with * for anything; empty means all"
          >
            <input
              className="input mono"
              placeholder="bot-*"
              value={spaces}
              onChange={(event) => setSpaces(event.target.value)}
            />
          </Field>
          {create.error && issues.length === 0 && <Failure error={create.error} />}
        </div>
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={create.isPending}>
            Create
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
