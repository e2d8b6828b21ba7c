import type { System } from "@clawdspace/client";
import { useQuery } from "@tanstack/react-query";
import { LogOut } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "../../components/button.js";
import { Failure } from "../../components/feedback.js";
import { Meter } from "../../components/meter.js";
import { queries } from "../../lib/queries.js";
import { signOut, useActor, useMay } from "../../lib/session.js";
import { DoctorPanel } from "./doctor-panel.js";
import { KeysPanel } from "./keys-panel.js";

/** "0d 0h 5m" without what is nothing. */
const shortUptime = (text: string) => text.replace(/^0d (0h )?/, "");
const shareOf = (percentage: string) => Number.parseFloat(percentage) / 100;

/** The machine's own figures, what is wrong with it, and who may use it. */
export default function SystemPage() {
  const system = useQuery(queries.system());
  const isAdmin = useMay("admin");
  const { data } = system;
  return (
    <>
      <header className="page-head">
        <h1>System</h1>
        {data && (
          <span className="count clip">
            {data.hostname} · {data.platform} {data.arch} · up {shortUptime(data.uptime)}
          </span>
        )}
      </header>
      <div className="page-body stack" tabIndex={0}>
        {system.error && <Failure error={system.error} onRetry={() => void system.refetch()} />}
        {!data && !system.error && <div className="skeleton figures-skeleton" />}
        {data && <Figures {...data} />}
        <DoctorPanel />
        {isAdmin && <KeysPanel />}
        <SessionPanel />
      </div>
    </>
  );
}

function Figures({ loadAverage, cpus, memory, disk, docker, capabilities }: System) {
  const { containers, containersRunning, containersPaused, images } = docker;
  const { gpu, gpuName, gpuMemory } = capabilities;
  return (
    <div className="figure-grid">
      <Figure
        name="Load"
        value={loadAverage[0].toFixed(2)}
        whole={`of ${cpus} CPUs`}
        share={loadAverage[0] / cpus}
      >
        5 min {loadAverage[1].toFixed(2)} · 15 min {loadAverage[2].toFixed(2)}
      </Figure>
      <Figure
        name="Memory"
        value={memory.used}
        whole={`of ${memory.total}`}
        share={shareOf(memory.percentage)}
      >
        {memory.free} free
      </Figure>
      {disk && (
        <Figure
          name="Disk"
          value={disk.used}
          whole={`of ${disk.total}`}
          share={shareOf(disk.percentage)}
        >
          {disk.available} available
        </Figure>
      )}
      <Figure
        name="Containers"
        value={String(containersRunning)}
        whole={`of ${containers} run`}
        share={containersRunning / Math.max(1, containers)}
        calm
      >
        {containersPaused} paused · {images} images
      </Figure>
      {gpu && (
        <section className="panel figure">
          <h2>GPU</h2>
          <p className="big">{gpuName ?? "yes"}</p>
          <p className="dim num">{gpuMemory}</p>
        </section>
      )}
    </div>
  );
}

/** Where the sidebar, which has it too, has no room. */
function SessionPanel() {
  const { name, role } = useActor();
  return (
    <section className="panel session" aria-label="Session">
      <p className="grow clip">
        Signed in as {name} <span className="dim">{role}</span>
      </p>
      <Button small icon={<LogOut />} onClick={() => void signOut()}>
        Sign out
      </Button>
    </section>
  );
}

interface FigureProps {
  name: string;
  value: string;
  whole: string;
  /** 0 to 1. */
  share: number;
  calm?: boolean;
  children: ReactNode;
}

function Figure({ name, value, whole, share, calm, children }: FigureProps) {
  return (
    <section className="panel figure">
      <h2>{name}</h2>
      <p className="big num">
        {value} <small>{whole}</small>
      </p>
      <Meter label={name} share={share} calm={calm} />
      <p className="dim num">{children}</p>
    </section>
  );
}
