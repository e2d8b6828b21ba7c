import { CornerDownLeft, Square } from "lucide-react";
import { type KeyboardEvent, useRef, useState } from "react";
import { api } from "../../api.js";
import { Button } from "../../components/button.js";
import { useStored } from "../../lib/stored.js";

interface Run {
  id: number;
  command: string;
  pieces: { stream: "stdout" | "stderr"; text: string }[];
  cutBytes: number;
  result?: string;
  failed?: boolean;
}

const KEPT_COMMANDS = 50;
const KEPT_RUNS = 20;
/** What a page can hold without becoming slow; what exceeds it is counted. */
const SHOWN_CHARACTERS = 200_000;

/** Runs single commands and shows their output as it comes. Up and down go through what was run before. */
export default function ExecPane({ space }: { space: string }) {
  const [history, setHistory] = useStored<string[]>(`clawdspace.commands.${space}`, []);
  const [runs, setRuns] = useState<Run[]>([]);
  const [command, setCommand] = useState("");
  const [place, setPlace] = useState(-1);
  const stop = useRef<AbortController>(undefined);
  const [busy, setBusy] = useState(false);

  const run = async () => {
    const text = command.trim();
    if (text === "" || busy) return;
    setHistory([text, ...history.filter((each) => each !== text)].slice(0, KEPT_COMMANDS));
    setCommand("");
    setPlace(-1);
    setBusy(true);
    const id = Date.now();
    const change = (with_: (old: Run) => Run) =>
      setRuns((old) => old.map((each) => (each.id === id ? with_(each) : each)));
    setRuns((old) => [{ id, command: text, pieces: [], cutBytes: 0 }, ...old].slice(0, KEPT_RUNS));
    const controller = new AbortController();
    stop.current = controller;
    const started = performance.now();
    try {
      for await (const event of api.space(space).exec(text, { signal: controller.signal })) {
        if (event.type === "exit") {
          const ms = Math.round(performance.now() - started);
          const result = `exit ${event.exitCode} · ${ms} ms`;
          change((old) => ({ ...old, result, failed: event.exitCode !== 0 }));
        } else if (event.type === "stdout" || event.type === "stderr") {
          change((old) => added(old, event.type, event.data));
        }
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const result = controller.signal.aborted ? "stopped" : message;
      change((old) => ({ ...old, result, failed: true }));
    }
    setBusy(false);
  };

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void run();
    }
    if (command.includes("\n") || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
    const next = place + (event.key === "ArrowUp" ? 1 : -1);
    if (next < -1 || next >= history.length) return;
    event.preventDefault();
    setPlace(next);
    setCommand(history[next] ?? "");
  };

  return (
    <div className="pane exec-pane">
      <form
        className="exec-form"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <span className="mono exec-prompt" aria-hidden="true">
          $
        </span>
        <textarea
          className="input"
          aria-label="Command"
          placeholder="Any shell command"
          rows={1}
          spellCheck={false}
          value={command}
          onChange={(event) => setCommand(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {busy ? (
          <Button icon={<Square />} onClick={() => stop.current?.abort()}>
            Stop
          </Button>
        ) : (
          <Button kind="primary" type="submit" icon={<CornerDownLeft />}>
            Run
          </Button>
        )}
      </form>
      {runs.length === 0 && (
        <p className="dim exec-hint">
          Its output appears here as it comes. Enter runs, Shift+Enter makes a new line, up and down
          bring back what was run before.
        </p>
      )}
      {runs.map((each) => (
        <article key={each.id} className="run">
          <header>
            <code className="clip grow">{each.command}</code>
            {each.result === undefined ? (
              <span className="spinner" role="status" aria-label="Running" />
            ) : (
              <span className={`chip num ${each.failed ? "danger" : "awake"}`}>{each.result}</span>
            )}
          </header>
          {each.cutBytes > 0 && (
            <p className="dim">{each.cutBytes} characters before this are not shown</p>
          )}
          {each.pieces.length > 0 && (
            <pre tabIndex={0}>
              {each.pieces.map(({ stream, text }, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: output only grows at its end
                <span key={index} className={stream}>
                  {text}
                </span>
              ))}
            </pre>
          )}
        </article>
      ))}
    </div>
  );
}

/** A run with more output: pieces of one stream in a row are one, and the oldest goes where it gets too much. */
function added(run: Run, stream: "stdout" | "stderr", text: string): Run {
  const last = run.pieces.at(-1);
  let pieces =
    last?.stream === stream
      ? [...run.pieces.slice(0, -1), { stream, text: last.text + text }]
      : [...run.pieces, { stream, text }];
  let over = pieces.reduce((sum, piece) => sum + piece.text.length, 0) - SHOWN_CHARACTERS;
  let { cutBytes } = run;
  while (over > 0) {
    const [first, ...rest] = pieces;
    if (!first) break;
    const cut = Math.min(over, first.text.length);
    pieces =
      cut === first.text.length ? rest : [{ ...first, text: first.text.slice(cut) }, ...rest];
    cutBytes += cut;
    over -= cut;
  }
  return { ...run, pieces, cutBytes };
}
