import { useQuery } from "@tanstack/react-query";
import { Keyboard, LogOut, Search, ShieldOff, WifiOff } from "lucide-react";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { NavLink, useNavigate } from "react-router";
import { IconButton } from "../components/button.js";
import { Mark } from "../components/mark.js";
import { useLive, useLiveState } from "../lib/live.js";
import { queries } from "../lib/queries.js";
import { signOut, useActor } from "../lib/session.js";
import { PAGES } from "./pages.js";
import { useShortcuts } from "./shortcuts.js";

const Palette = lazy(() => import("./palette.js"));
const ShortcutSheet = lazy(() => import("./shortcut-sheet.js"));

export function Shell({ children }: { children: ReactNode }) {
  useLive();
  const [open, setOpen] = useState<"palette" | "shortcuts">();
  const navigate = useNavigate();
  useShortcuts({
    palette: () => setOpen("palette"),
    help: () => setOpen("shortcuts"),
    go: (key) => {
      const page = PAGES.find((each) => each.key === key);
      if (page) void navigate(page.to);
    },
  });
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to content
      </a>
      <nav className="sidebar" aria-label="Pages">
        <div className="brand">
          <Mark />
          Clawdspace
        </div>
        <button type="button" className="find-button" onClick={() => setOpen("palette")}>
          <Search aria-hidden="true" />
          Find or do…
          <span className="key" aria-hidden="true">
            Ctrl K
          </span>
        </button>
        {PAGES.map(({ to, name, icon: Icon }) => (
          <NavLink key={to} to={to} className="nav-link">
            <Icon aria-hidden="true" />
            {name}
          </NavLink>
        ))}
        <Foot onShortcuts={() => setOpen("shortcuts")} />
      </nav>
      <main id="main" tabIndex={-1}>
        <OpenToAll />
        {children}
      </main>
      <Reconnecting />
      <Suspense>
        {open === "palette" && <Palette onClose={() => setOpen(undefined)} />}
        {open === "shortcuts" && <ShortcutSheet onClose={() => setOpen(undefined)} />}
      </Suspense>
    </div>
  );
}

function Foot({ onShortcuts }: { onShortcuts: () => void }) {
  const actor = useActor();
  const state = useLiveState();
  const health = useQuery(queries.health());
  return (
    <div className="foot">
      <div className={`live ${state}`}>
        <span className={`dot ${state === "open" ? "running" : ""}`} />
        {state === "open" ? "Live" : "Connecting…"}
        {health.data && <span className="mono">{health.data.version}</span>}
      </div>
      <div className="account">
        <span className="grow clip" title={`Signed in as ${actor.name}, ${actor.role}`}>
          {actor.name} <span className="dim">{actor.role}</span>
        </span>
        <IconButton label="Keyboard shortcuts" onClick={onShortcuts}>
          <Keyboard size={16} />
        </IconButton>
        <IconButton label="Sign out" onClick={() => void signOut()}>
          <LogOut size={16} />
        </IconButton>
      </div>
    </div>
  );
}

function OpenToAll() {
  if (!useActor().authDisabled) return null;
  return (
    <p className="open-to-all" role="alert">
      <ShieldOff size={15} aria-hidden="true" />
      Authentication is off: whoever reaches this address owns this machine. Unset
      CLAWDSPACE_AUTH_DISABLED to have keys.
    </p>
  );
}

function Reconnecting() {
  if (useLiveState() !== "reconnecting") return null;
  return (
    <div className="banner" role="status">
      <WifiOff size={15} aria-hidden="true" />
      Reconnecting to the daemon…
    </div>
  );
}
