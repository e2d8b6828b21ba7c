import { X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { IconButton } from "./button.js";

interface Toast {
  id: number;
  kind: "done" | "error";
  text: string;
}

const DONE_MS = 4000;
const ERROR_MS = 12_000;

let toasts: Toast[] = [];
let count = 0;
const listeners = new Set<() => void>();

function set(next: Toast[]) {
  toasts = next;
  for (const listener of listeners) listener();
}

function show(kind: Toast["kind"], text: string) {
  const id = ++count;
  set([...toasts.filter((each) => each.text !== text).slice(-3), { id, kind, text }]);
  setTimeout(() => dismiss(id), kind === "error" ? ERROR_MS : DONE_MS);
}

const dismiss = (id: number) => set(toasts.filter((each) => each.id !== id));

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Short messages at the page's edge. Errors say what the daemon said. */
export const toast = {
  done: (text: string) => show("done", text),
  error: (error: unknown) => show("error", error instanceof Error ? error.message : String(error)),
};

export function Toaster() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <section className="toasts" aria-label="Notifications" aria-live="polite">
      {shown.map(({ id, kind, text }) => (
        <div key={id} className={`toast ${kind}`} role={kind === "error" ? "alert" : "status"}>
          <p>{text}</p>
          <IconButton label="Dismiss" onClick={() => dismiss(id)}>
            <X size={15} />
          </IconButton>
        </div>
      ))}
    </section>
  );
}
