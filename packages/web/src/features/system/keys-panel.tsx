import type { Key } from "@clawdspace/client";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Copy, KeyRound, Plus } from "lucide-react";
import { useState } from "react";
import { api } from "../../api.js";
import { Button } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { Failure } from "../../components/feedback.js";
import { toast } from "../../components/toast.js";
import { ago } from "../../lib/format.js";
import { queries } from "../../lib/queries.js";
import { KeyDialog } from "./key-dialog.js";

/** Further keys, for agents and for people who should do less. */
export function KeysPanel() {
  const keys = useQuery(queries.keys());
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Key>();
  const [secret, setSecret] = useState<string>();
  return (
    <section className="panel">
      <header className="panel-head">
        <h2 className="grow">Keys</h2>
        <Button small icon={<Plus />} onClick={() => setCreating(true)}>
          New key
        </Button>
      </header>
      {keys.error && <Failure error={keys.error} />}
      {keys.data?.length === 0 && (
        <p className="dim">
          Only the owner's key exists. Give each agent one of its own: it can be limited to some
          spaces, and the audit log tells them apart.
        </p>
      )}
      <ul className="key-list">
        {keys.data?.map((key) => (
          <li key={key.id}>
            <KeyRound size={16} aria-hidden="true" />
            <strong className="clip">{key.name}</strong>
            <span className="chip">{key.role}</span>
            <span className="dim clip mono grow">{key.spaces?.join(", ") ?? "all spaces"}</span>
            <span className="dim num wide-only">
              {key.lastUsedAt ? `used ${ago(key.lastUsedAt)}` : "never used"}
            </span>
            <Button small onClick={() => setRevoking(key)}>
              Revoke
            </Button>
          </li>
        ))}
      </ul>
      {creating && (
        <KeyDialog
          onClose={() => setCreating(false)}
          onCreated={(made) => {
            setCreating(false);
            setSecret(made);
          }}
        />
      )}
      {secret !== undefined && (
        <SecretDialog secret={secret} onClose={() => setSecret(undefined)} />
      )}
      {revoking && <RevokeDialog of={revoking} onClose={() => setRevoking(undefined)} />}
    </section>
  );
}

function SecretDialog({ secret, onClose }: { secret: string; onClose: () => void }) {
  const copy = async () => {
    await navigator.clipboard.writeText(secret);
    toast.done("Copied");
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="The new key"
      description="It is shown this once. Keep it now."
    >
      <div className="body">
        <code className="secret">{secret}</code>
      </div>
      <footer>
        {navigator.clipboard && (
          <Button icon={<Copy />} onClick={() => void copy()}>
            Copy
          </Button>
        )}
        <Button kind="primary" onClick={onClose}>
          Done
        </Button>
      </footer>
    </Dialog>
  );
}

function RevokeDialog({ of, onClose }: { of: Key; onClose: () => void }) {
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => api.keys.revoke(of.id),
    onSettled: () => client.invalidateQueries({ queryKey: ["keys"] }).then(onClose),
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Revoke ${of.name}?`}
      description="Whoever uses it is refused from now on."
    >
      <footer>
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="danger" busy={revoke.isPending} onClick={() => revoke.mutate()}>
          Revoke
        </Button>
      </footer>
    </Dialog>
  );
}
