import type { NodeList } from "@clawdspace/client";
import { useQuery } from "@tanstack/react-query";
import { Server } from "lucide-react";
import { Empty, Failure } from "../../components/feedback.js";
import { Meter } from "../../components/meter.js";
import { ago, bytes } from "../../lib/format.js";
import { queries } from "../../lib/queries.js";

type Node = NodeList["nodes"][number];

const STATES: Record<Node["state"], string> = {
  online: "Online",
  offline: "Offline",
  wrong_key: "Wrong key",
  other_version: "Other version",
  not_clawdspace: "Not Clawdspace",
};

const isOnline = ({ status }: Node) => status === "online";

/** This node, then those that answer, then by name. */
const order = (a: Node, b: Node) =>
  Number(b.self) - Number(a.self) ||
  Number(isOnline(b)) - Number(isOnline(a)) ||
  a.name.localeCompare(b.name);

/** The machines that know each other. */
export default function NodesPage() {
  const nodes = useQuery(queries.nodes());
  const list = nodes.data?.nodes.toSorted(order) ?? [];
  return (
    <>
      <header className="page-head">
        <h1>Nodes</h1>
        <span className="count num grow">
          {list.length > 0 && `${list.filter(isOnline).length} of ${list.length} online`}
        </span>
      </header>
      <div className="page-body stack" tabIndex={0}>
        {nodes.error && <Failure error={nodes.error} onRetry={() => void nodes.refetch()} />}
        {nodes.isPending && <div className="skeleton list-skeleton" />}
        <div className="card-grid">
          {list.map((node) => (
            <NodeCard key={node.name} node={node} />
          ))}
          {list.length === 1 && (
            <div className="panel vacant">
              <Empty icon={<Server />} title="Only this one so far">
                Run the daemon on another machine of your tailnet with the same key, or name
                machines in <code>CLAWDSPACE_NODES</code>: each shows up here by itself.
              </Empty>
            </div>
          )}
        </div>
      </div>
    </>
  );
}

function NodeCard({ node }: { node: Node }) {
  const { capabilities, load } = node;
  const disk = load?.disk;
  const gpus = load?.gpus.map(({ name }) => name).join(", ");
  const rows: [string, string | undefined][] = [
    ["Latency", node.latencyMs === null ? undefined : `${Math.round(node.latencyMs)} ms`],
    ["CPUs", load && capabilities && `${Math.max(0, load.cpusFree)} of ${capabilities.cpus} free`],
    ["GPU", gpus || capabilities?.gpuName || (capabilities && "none")],
    ["Spaces", load && String(load.spaces)],
    ["System", capabilities && `${capabilities.platform} ${capabilities.arch}`],
    ["Version", node.version],
    ["Last seen", isOnline(node) || !node.lastSeenAt ? undefined : ago(node.lastSeenAt)],
  ];
  const used = load && capabilities ? capabilities.memory - load.memoryFree : undefined;
  return (
    <article className="panel node-card" data-status={node.status} aria-label={node.name}>
      <header>
        <span className={`dot ${isOnline(node) ? "running" : "failed"}`} />
        <h2 className="grow clip">{node.name}</h2>
        {node.self && <span className="chip">This node</span>}
        {load?.drained && <span className="chip warn">Drained</span>}
        <span className={`chip ${isOnline(node) ? "awake" : "danger"}`}>{STATES[node.state]}</span>
      </header>
      <p className="dim mono clip">{node.url}</p>
      {node.reason && <p className="dim">{node.reason}</p>}
      {used !== undefined && capabilities && (
        <div className="measure">
          <span>Memory</span>
          <span className="num dim">
            {bytes(used)} of {bytes(capabilities.memory)}
          </span>
          <Meter label="Memory" share={used / capabilities.memory} />
        </div>
      )}
      {disk && (
        <div className="measure">
          <span>Disk</span>
          <span className="num dim">
            {bytes(disk.used)} of {bytes(disk.total)}
          </span>
          <Meter label="Disk" share={disk.used / (disk.used + disk.free)} />
        </div>
      )}
      <dl className="facts">
        {rows.map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name}>
                <dt>{name}</dt>
                <dd className="num">{value}</dd>
              </div>
            ),
        )}
      </dl>
    </article>
  );
}
