import { type FormEvent, useState } from "react";
import { Button } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { Field } from "../../components/field.js";
import { join, nameOf, parentOf } from "./paths.js";
import { useFileActions } from "./use-files.js";

export type FileQuestion =
  | { ask: "make"; folder: string }
  | { ask: "rename"; path: string }
  | { ask: "remove"; path: string };

interface Props {
  space: string;
  question: FileQuestion;
  onClose: () => void;
  /** @param path the file to show next, if any */
  onDone: (path: string | undefined) => void;
}

export function FileDialogs({ space, question, onClose, onDone }: Props) {
  const { rename, remove, make } = useFileActions(space);
  const { ask } = question;
  const [name, setName] = useState(ask === "rename" ? nameOf(question.path) : "");
  const busy = rename.isPending || remove.isPending || make.isPending;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      if (ask === "make") {
        const made = await make.mutateAsync({ folder: question.folder, name });
        return onDone(name.endsWith("/") ? undefined : made);
      }
      if (ask === "rename") {
        const to = join(parentOf(question.path), name);
        await rename.mutateAsync({ from: question.path, to });
        return onDone(to);
      }
      await remove.mutateAsync(question.path);
      return onDone(undefined);
    } catch {
      // Told by a message; the dialog stays for another try.
    }
  };

  if (ask === "remove") {
    return (
      <Dialog
        open
        onClose={onClose}
        title={`Delete ${nameOf(question.path)}?`}
        description="With everything in it. This can't be undone."
      >
        <form onSubmit={submit}>
          <footer>
            <Button onClick={onClose}>Cancel</Button>
            <Button kind="danger" type="submit" busy={busy}>
              Delete
            </Button>
          </footer>
        </form>
      </Dialog>
    );
  }
  return (
    <Dialog
      open
      onClose={onClose}
      title={ask === "make" ? "New file or folder" : `Rename ${nameOf(question.path)}`}
    >
      <form onSubmit={submit}>
        <div className="body">
          <Field
            label="Name"
            hint={
              ask === "make"
                ? `In /workspace${question.folder}; a name that ends with / makes a folder`
                : undefined
            }
          >
            <input
              className="input mono"
              autoFocus
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          </Field>
        </div>
        <footer>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={name.trim() === ""}>
            {ask === "make" ? "Make" : "Rename"}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
