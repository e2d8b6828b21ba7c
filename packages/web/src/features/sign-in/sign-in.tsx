import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "../../api.js";
import { Button } from "../../components/button.js";
import { Field } from "../../components/field.js";
import { Mark } from "../../components/mark.js";
import { SESSION } from "../../lib/session.js";

export function SignIn() {
  const client = useQueryClient();
  const [key, setKey] = useState("");
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (key.trim() === "")
      return setFault("Paste the key that the daemon printed at its first start.");
    setBusy(true);
    try {
      client.setQueryData(SESSION, await api.session.create(key.trim()));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      setFault(message === "Unauthorized" ? "This key isn't known here." : message);
      setBusy(false);
    }
  };
  return (
    <main className="gate">
      <form onSubmit={submit} noValidate>
        <Mark />
        <div>
          <h1>Sign in</h1>
          <p className="dim">to the spaces of {location.hostname}</p>
        </div>
        <Field
          label="API key"
          fault={fault}
          hint={
            <>
              On the machine: <code>cat ~/.config/clawdspace/api-key</code>
            </>
          }
        >
          <input
            className="input mono"
            type="password"
            name="key"
            autoComplete="current-password"
            autoFocus
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
        </Field>
        <Button kind="primary" type="submit" busy={busy}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
