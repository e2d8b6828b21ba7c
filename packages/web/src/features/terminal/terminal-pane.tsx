import { ChevronDown, ChevronUp, Maximize2, Minimize2, Plus, Search, X } from "lucide-react";
import { useRef, useState } from "react";
import { IconButton } from "../../components/button.js";
import { Failure } from "../../components/feedback.js";
import { KeyBar } from "./key-bar.js";
import { useSessions } from "./sessions.js";
import { type ScreenHandle, TerminalScreen } from "./terminal-screen.js";

/** The terminals of a space, as tabs; what runs in them goes on when the page is closed. */
export default function TerminalPane({ space }: { space: string }) {
  const sessions = useSessions(space);
  const [full, setFull] = useState(false);
  const [finding, setFinding] = useState(false);
  const [rounds, setRounds] = useState<Record<string, number>>({});
  const screens = useRef(new Map<string, ScreenHandle>());
  const current = () => screens.current.get(sessions.shown ?? "");
  if (sessions.error) return <Failure error={sessions.error} />;

  return (
    <div className={`terminal-pane${full ? " full" : ""}`}>
      <div className="terminal-bar">
        <div className="terminal-tabs" role="tablist" aria-label="Terminals">
          {sessions.tabs.map((session) => (
            <div
              key={session}
              className="terminal-tab"
              data-on={session === sessions.shown || undefined}
            >
              <button
                type="button"
                role="tab"
                aria-selected={session === sessions.shown}
                onClick={() => sessions.show(session)}
              >
                {session}
              </button>
              <IconButton
                label={`End ${session}`}
                className="tiny"
                onClick={() => void sessions.end(session)}
              >
                <X size={13} />
              </IconButton>
            </div>
          ))}
        </div>
        <IconButton label="New terminal" onClick={() => sessions.add()}>
          <Plus size={16} />
        </IconButton>
        <span className="grow" />
        <IconButton label="Search in the output" onClick={() => setFinding(!finding)}>
          <Search size={16} />
        </IconButton>
        <IconButton
          label={full ? "Leave full screen" : "Full screen"}
          onClick={() => setFull(!full)}
        >
          {full ? <Minimize2 size={16} /> : <Maximize2 size={16} />}
        </IconButton>
      </div>
      {finding && (
        <FindBar
          onFind={(text, backwards) => current()?.find(text, backwards)}
          onClose={() => {
            setFinding(false);
            current()?.clearFind();
            current()?.focus();
          }}
        />
      )}
      {sessions.tabs.map((session) => (
        <TerminalScreen
          key={`${session}/${rounds[session] ?? 0}`}
          space={space}
          session={session}
          shown={session === sessions.shown}
          handle={(screen) => {
            if (screen) screens.current.set(session, screen);
            else screens.current.delete(session);
          }}
          onFind={() => setFinding(true)}
          onRestart={() => setRounds({ ...rounds, [session]: (rounds[session] ?? 0) + 1 })}
        />
      ))}
      {sessions.tabs.length === 0 && <div className="screen" />}
      <KeyBar onKey={(data) => current()?.send(data)} />
    </div>
  );
}

function FindBar({
  onFind,
  onClose,
}: {
  onFind: (text: string, backwards: boolean) => void;
  onClose: () => void;
}) {
  const [text, setText] = useState("");
  return (
    <form
      className="find-bar"
      onSubmit={(event) => {
        event.preventDefault();
        onFind(text, true);
      }}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <input
        className="input"
        aria-label="Search in the output"
        autoFocus
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          onFind(event.target.value, true);
        }}
      />
      <IconButton label="Previous" onClick={() => onFind(text, true)}>
        <ChevronUp size={16} />
      </IconButton>
      <IconButton label="Next" onClick={() => onFind(text, false)}>
        <ChevronDown size={16} />
      </IconButton>
      <IconButton label="Close the search" onClick={onClose}>
        <X size={16} />
      </IconButton>
    </form>
  );
}
