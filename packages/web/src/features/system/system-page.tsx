import { useQuery } from "@tanstack/react-query";
import { Failure } from "../../components/feedback.js";
import { Meter } from "../../components/meter.js";
import { queries } from "../../lib/queries.js";
import { useMay } from "../../lib/session.js";
import { KeysPanel } from "./keys-panel.js";

const shareOf = (percentage: string) => Number.parseFloat(percentage) / 100;

/** The machine's own figures, and who may use it. */
export default function SystemPage() {
  const system = useQuery(queries.system());
  const isAdmin = useMay("admin");
  const { data } = system;
  return (
    <>
      <header className="page-head">
        <h1>System</h1>
        <span className="count">{data?.hostname}</span>
      </header>
      <div className="page-body stack" tabIndex={0}>
        {system.error && <Failure error={system.error} onRetry={() => void system.refetch()} />}
        {!data && !system.error && <div className="skeleton list-skeleton" />}
        {data && (
          <div className="figure-grid">
            <section className="panel figure">
              <h2>Load</h2>
              <p className="big num">
                {data.loadAverage[0].toFixed(2)} <small>of {data.cpus} CPUs</small>
              </p>
              <Meter label="Load" share={data.loadAverage[0] / data.cpus} />
              <p className="dim num">
                {data.loadAverage[1].toFixed(2)} over 5 min, {data.loadAverage[2].toFixed(2)} over
                15
              </p>
            </section>
            <section className="panel figure">
              <h2>Memory</h2>
              <p className="big num">
                {data.memory.used} <small>of {data.memory.total}</small>
              </p>
              <Meter label="Memory" share={shareOf(data.memory.percentage)} />
              <p className="dim num">{data.memory.free} free</p>
            </section>
            {data.disk && (
              <section className="panel figure">
                <h2>Disk</h2>
                <p className="big num">
                  {data.disk.used} <small>of {data.disk.total}</small>
                </p>
                <Meter label="Disk" share={shareOf(data.disk.percentage)} />
                <p className="dim num">{data.disk.available} available</p>
              </section>
            )}
            <section className="panel figure">
              <h2>Docker Engine</h2>
              <p className="big num">
                {data.docker.containersRunning} <small>containers run</small>
              </p>
              <dl className="facts">
                <dt>Version</dt>
                <dd className="num">{data.docker.version}</dd>
                <dt>Paused</dt>
                <dd className="num">{data.docker.containersPaused}</dd>
                <dt>In all</dt>
                <dd className="num">
                  {data.docker.containers}, of {data.docker.images} images
                </dd>
              </dl>
            </section>
            <section className="panel figure">
              <h2>Machine</h2>
              <dl className="facts">
                <dt>Up for</dt>
                <dd className="num">{data.uptime}</dd>
                <dt>System</dt>
                <dd>
                  {data.platform} {data.arch}
                </dd>
                <dt>GPU</dt>
                <dd>
                  {data.capabilities.gpu
                    ? [data.capabilities.gpuName, data.capabilities.gpuMemory]
                        .filter(Boolean)
                        .join(", ")
                    : "none"}
                </dd>
              </dl>
            </section>
          </div>
        )}
        {isAdmin && <KeysPanel />}
      </div>
    </>
  );
}
