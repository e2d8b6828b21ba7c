import { useEffect, useRef } from "react";

interface Actions {
  palette: () => void;
  help: () => void;
  /** After "g" and a page's letter. */
  go: (key: string) => void;
}

const GO_MS = 1200;

/** Single keys belong to whoever types: only where nobody does are they shortcuts. */
const isTyping = (target: EventTarget | null) =>
  target instanceof Element &&
  target.closest("input, textarea, select, [contenteditable], .xterm, [role=dialog]") !== null;

/** The page's keyboard shortcuts. Lists add their own with `data-shortcut` on the control that they press. */
export function useShortcuts(actions: Actions): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    let goUntil = 0;
    const onKey = (event: KeyboardEvent) => {
      const { key, target } = event;
      if ((event.metaKey || event.ctrlKey) && key.toLowerCase() === "k") {
        if (target instanceof Element && target.closest(".xterm") && !event.metaKey) return;
        event.preventDefault();
        latest.current.palette();
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(target)) return;
      if (Date.now() < goUntil) {
        goUntil = 0;
        latest.current.go(key);
        return;
      }
      if (key === "g") {
        goUntil = Date.now() + GO_MS;
        return;
      }
      if (key === "?") return latest.current.help();
      const control = document.querySelector<HTMLElement>(`[data-shortcut="${CSS.escape(key)}"]`);
      if (!control) return;
      event.preventDefault();
      if (control instanceof HTMLInputElement) control.focus();
      else control.click();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
