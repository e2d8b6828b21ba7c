import "@xterm/xterm/css/xterm.css";
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { Terminal } from "@xterm/xterm";
import { useEffect, useImperativeHandle, useRef, useState } from "react";
import { Button } from "../../components/button.js";
import { Attachment, type AttachmentState } from "./attachment.js";
import { THEME } from "./themes.js";

export interface ScreenHandle {
  send(data: string): void;
  focus(): void;
  find(text: string, backwards: boolean): void;
  clearFind(): void;
}

interface Props {
  space: string;
  session: string;
  shown: boolean;
  handle: React.Ref<ScreenHandle>;
  onFind: () => void;
  onRestart: () => void;
}

const FONT = '"Geist Mono Variable", ui-monospace, "DejaVu Sans Mono", monospace';
const SCROLLBACK_LINES = 10_000;

/** Copies the selection with Ctrl+Shift+C, and lets the browser paste with Ctrl+Shift+V. */
function copyAndPaste(screen: Terminal, onFind: () => void): void {
  screen.attachCustomKeyEventHandler((event) => {
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
    const key = event.key.toLowerCase();
    if (key === "v") return false;
    if (key === "f") {
      event.preventDefault();
      onFind();
      return false;
    }
    if (key !== "c" || !screen.hasSelection()) return true;
    event.preventDefault();
    void navigator.clipboard?.writeText(screen.getSelection());
    return false;
  });
}

/** One terminal session on the screen. */
export function TerminalScreen({ space, session, shown, handle, onFind, onRestart }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const parts = useRef<{ screen: Terminal; fit: FitAddon; search: SearchAddon }>(undefined);
  const [state, setState] = useState<{ state: AttachmentState; message?: string }>({
    state: "connecting",
  });
  const find = useRef(onFind);
  find.current = onFind;

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const screen = new Terminal({
      theme: THEME,
      fontFamily: FONT,
      fontSize: 13,
      lineHeight: 1.25,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      scrollback: SCROLLBACK_LINES,
      allowProposedApi: true,
      macOptionIsMeta: true,
      screenReaderMode: false,
    });
    const fit = new FitAddon();
    const search = new SearchAddon();
    screen.loadAddon(fit);
    screen.loadAddon(search);
    screen.loadAddon(new WebLinksAddon());
    screen.open(element);
    drawWithGpu(screen);
    copyAndPaste(screen, () => find.current());
    fit.fit();
    parts.current = { screen, fit, search };
    const attachment = new Attachment(space, session, screen, (next, message) =>
      setState({ state: next, ...(message ? { message } : {}) }),
    );
    const observer = new ResizeObserver(() => {
      if (element.clientHeight > 0) fit.fit();
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      attachment.close();
      screen.dispose();
      parts.current = undefined;
    };
  }, [space, session]);

  useEffect(() => {
    if (!shown) return;
    parts.current?.fit.fit();
    if (matchMedia("(hover: hover)").matches) parts.current?.screen.focus();
  }, [shown]);

  useImperativeHandle(handle, () => ({
    send: (data) => parts.current?.screen.input(data, true),
    focus: () => parts.current?.screen.focus(),
    find: (text, backwards) => {
      const options = {
        decorations: {
          matchOverviewRuler: "#ff7a57",
          activeMatchColorOverviewRuler: "#ff7a57",
          matchBackground: "#5a3a1f",
          activeMatchBackground: "#a94a25",
        },
      };
      if (backwards) parts.current?.search.findPrevious(text, options);
      else parts.current?.search.findNext(text, options);
    },
    clearFind: () => parts.current?.search.clearDecorations(),
  }));

  return (
    <div className="screen" hidden={!shown} data-state={state.state}>
      <div className="screen-place" ref={place} />
      {state.state !== "open" && (
        <div className="screen-note" role="status">
          {state.state === "ended" ? (
            <>
              {state.message}
              <Button small onClick={onRestart}>
                Start a new one
              </Button>
            </>
          ) : (
            <>
              <span className="spinner" aria-hidden="true" />
              {state.state === "connecting" ? "Connecting…" : "Reconnecting… what runs goes on"}
            </>
          )}
        </div>
      )}
    </div>
  );
}

/** Draws by WebGL; where there is none, or its context is lost, the terminal draws by itself. */
function drawWithGpu(screen: Terminal): void {
  try {
    const webgl = new WebglAddon();
    webgl.onContextLoss(() => webgl.dispose());
    screen.loadAddon(webgl);
  } catch {
    // Drawn as text.
  }
}
