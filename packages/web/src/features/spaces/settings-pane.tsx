import { useQuery } from "@tanstack/react-query";
import { Box, Gauge, Network, ShieldCheck } from "lucide-react";
import type { ReactNode } from "react";
import { Failure } from "../../components/feedback.js";
import { bytes, dateTime } from "../../lib/format.js";
import { queries } from "../../lib/queries.js";

/** What a space is made of, and what confines it, as the engine tells it now. */
export default function SettingsPane({ space }: { space: string }) {
  const { data, error } = useQuery(queries.space(space));
  if (error) return <Failure error={error} />;
  if (!data) return <div className="pane-wait" />;
  const { security } = data;
  const list = (values: string[] | undefined, none = "none") =>
    values?.length ? <span className="mono">{values.join(", ")}</span> : none;
  return (
    <div className="pane settings" tabIndex={0}>
      <Facts
        icon={<Box />}
        title="Space"
        rows={[
          ["Id", <code key="id">{data.id}</code>],
          ["Template", data.template ?? "default"],
          ["Image", <code key="image">{data.image}</code>],
          ["Volume", <code key="volume">{data.volume?.name}</code>],
          ["Created", dateTime(data.created)],
          ["Started", data.started ? dateTime(data.started) : "–"],
          ["Description", data.description ?? "–"],
          [
            "Labels",
            list(Object.entries(data.labels ?? {}).map(([name, value]) => `${name}=${value}`)),
          ],
        ]}
      />
      {security && (
        <>
          <Facts
            icon={<Gauge />}
            title="Limits"
            rows={[
              ["Memory", bytes(security.limits.memoryBytes)],
              [
                "With swap",
                security.limits.memorySwapBytes < 0
                  ? "not limited by this node"
                  : bytes(security.limits.memorySwapBytes),
              ],
              ["CPUs", security.limits.cpus],
              ["Processes", security.limits.pids],
              [
                "Workspace",
                security.limits.diskBytes ? bytes(security.limits.diskBytes) : "unlimited",
              ],
            ]}
          />
          <Facts
            icon={<ShieldCheck />}
            title="Confinement, as the engine tells it"
            rows={[
              ["User", <code key="user">{security.user}</code>],
              ["Capabilities", list(security.capabilities)],
              ["New privileges", security.noNewPrivileges ? "refused" : "possible"],
              ["Privileged", security.privileged ? "yes" : "no"],
              ["Seccomp", security.seccomp],
              ["Runtime", security.runtime],
              ["Root file system", security.readonlyRootfs ? "read-only" : "writable"],
              ["Host's files", list(security.hostMounts)],
            ]}
          />
          <Facts
            icon={<Network />}
            title="Network"
            rows={[
              ["Mode", security.network.mode],
              ["Address", <code key="address">{security.network.address ?? "–"}</code>],
              ["Blocked", list(security.network.blockedCidrs)],
              ["Allowed", list(security.network.allowedCidrs)],
              ["Domains", list(security.network.allowedDomains, "any")],
              ["Enforced by", security.network.enforcedBy ?? "–"],
              [
                "Seen in force",
                security.network.checkedAt ? dateTime(security.network.checkedAt) : "–",
              ],
            ]}
          />
        </>
      )}
    </div>
  );
}

interface FactsProps {
  icon: ReactNode;
  title: string;
  rows: [string, ReactNode][];
}

function Facts({ icon, title, rows }: FactsProps) {
  return (
    <section className="panel">
      <header className="panel-head">
        {icon}
        <h2>{title}</h2>
      </header>
      <dl className="facts">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="num">{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
