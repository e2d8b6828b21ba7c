import { useQuery } from "@tanstack/react-query";
import {
  Activity,
  ChevronLeft,
  Cpu,
  FolderTree,
  Moon,
  Play,
  ScrollText,
  Settings2,
  SquareTerminal,
  Terminal,
  Trash2,
} from "lucide-react";
import { type ComponentType, lazy, Suspense, useEffect, useRef, useState } from "react";
import { Link, Navigate, NavLink, useNavigate, useParams } from "react-router";
import { Button } from "../components/button.js";
import { Failure } from "../components/feedback.js";
import { StatusChip } from "../components/status.js";
import { RemoveDialog, useLifecycle } from "../features/spaces/index.js";
import { isAwake, queries } from "../lib/queries.js";
import { useMay } from "../lib/session.js";

type Pane = ComponentType<{ space: string }>;

const TABS: { id: string; name: string; icon: typeof Cpu; pane: Pane }[] = [
  {
    id: "terminal",
    name: "Terminal",
    icon: SquareTerminal,
    pane: lazy(() => import("../features/terminal/terminal-pane.js")),
  },
  {
    id: "files",
    name: "Files",
    icon: FolderTree,
    pane: lazy(() => import("../features/files/files-pane.js")),
  },
  {
    id: "run",
    name: "Run",
    icon: Terminal,
    pane: lazy(() => import("../features/exec/exec-pane.js")),
  },
  {
    id: "processes",
    name: "Processes",
    icon: Cpu,
    pane: lazy(() => import("../features/processes/processes-pane.js")),
  },
  {
    id: "metrics",
    name: "Metrics",
    icon: Activity,
    pane: lazy(() => import("../features/metrics/metrics-pane.js")),
  },
  {
    id: "audit",
    name: "Audit",
    icon: ScrollText,
    pane: lazy(() => import("../features/audit/space-audit.js")),
  },
  {
    id: "settings",
    name: "Settings",
    icon: Settings2,
    pane: lazy(() => import("../features/spaces/settings-pane.js")),
  },
];

/** On a phone not all tabs fit: the current one is scrolled to. */
function useTabInView(tab: string | undefined) {
  const tabs = useRef<HTMLElement>(null);
  useEffect(() => {
    if (tab === undefined) return;
    const current = tabs.current?.querySelector<HTMLElement>("[aria-current=page]");
    const bar = tabs.current;
    if (bar && current)
      bar.scrollLeft = current.offsetLeft - (bar.clientWidth - current.offsetWidth) / 2;
  }, [tab]);
  return tabs;
}

/** One space: its head, and what its address's last part names. */
export default function SpacePage() {
  const { name = "", tab } = useParams();
  const space = useQuery(queries.space(name));
  const lifecycle = useLifecycle();
  const navigate = useNavigate();
  const may = useMay("agent");
  const [removing, setRemoving] = useState(false);
  const tabs = useTabInView(tab);
  const current = TABS.find(({ id }) => id === tab);
  if (!current) return <Navigate to={`/spaces/${name}/${may ? "terminal" : "files"}`} replace />;
  const { pane: CurrentPane } = current;
  const { data } = space;
  const change = (verb: "start" | "stop") => lifecycle.mutate({ verb, names: [name] });

  return (
    <>
      <header className="page-head space-head-bar">
        <Link to="/spaces" className="icon-button" aria-label="All spaces" title="All spaces">
          <ChevronLeft size={18} />
        </Link>
        <h1 className="clip">{name}</h1>
        {data && <StatusChip status={data.status} />}
        <span className="grow" />
        {data && may && (
          <>
            {isAwake(data) ? (
              <Button
                small
                icon={<Moon />}
                busy={lifecycle.isPending}
                onClick={() => change("stop")}
              >
                Sleep
              </Button>
            ) : (
              <Button
                small
                icon={<Play />}
                busy={lifecycle.isPending}
                onClick={() => change("start")}
              >
                Wake
              </Button>
            )}
            <Button small icon={<Trash2 />} onClick={() => setRemoving(true)}>
              Remove…
            </Button>
          </>
        )}
      </header>
      <nav className="tabs" aria-label={`Parts of ${name}`} ref={tabs}>
        {TABS.map(({ id, name: text, icon: Icon }) => (
          <NavLink key={id} to={`/spaces/${name}/${id}`} className="tab">
            <Icon aria-hidden="true" />
            {text}
          </NavLink>
        ))}
      </nav>
      {space.error ? (
        <Failure error={space.error} onRetry={() => void space.refetch()} />
      ) : (
        <Suspense fallback={<div className="pane-wait" />}>
          <CurrentPane key={name} space={name} />
        </Suspense>
      )}
      {removing && data && (
        <RemoveDialog
          spaces={[data]}
          onClose={() => setRemoving(false)}
          onRemoved={() => navigate("/spaces")}
        />
      )}
    </>
  );
}
