import { setTimeout as delay } from "node:timers/promises";
import type { Engine } from "../engine/engine.js";
import { GuestError } from "../guest/types.js";
import { HostProcfs } from "./host-procfs.js";
import { signalInside } from "./in-space-signal.js";
import { DAEMON, DAEMON_VARIABLE } from "./process-meta.js";
import { leaderOf, type ProcessRow, treeOf } from "./process-tree.js";

const STOP_ROUNDS = 64;
const KILL_ROUNDS = 200;
/** What keeps a container alive that has no guest agent. */
const PLACEHOLDER = "sleep infinity";

/** Finds and signals the processes of one container that execs of the engine started. */
export class EngineSignals {
  constructor(
    private readonly engine: Engine,
    readonly containerId: string,
    readonly user: string,
  ) {}

  /** The container's processes seen from its node, where the daemon runs there as root. Throws `EngineError`. */
  async host(): Promise<HostProcfs | undefined> {
    const { pid } = await this.engine.inspectContainer(this.containerId);
    return HostProcfs.of(this.containerId, pid);
  }

  /**
   * As `Guest.signal`.
   * @param leader the process itself, where it was seen from the host and may still live.
   */
  async signal(
    id: string,
    signal: NodeJS.Signals,
    scope: "group" | "all",
    leader?: ProcessRow,
  ): Promise<number> {
    const host = await this.host();
    if (!host) {
      const marks = { wanted: `CLAWDSPACE_PROCESS_ID=${id}` };
      return await signalInside(this.engine, this, marks, signal, scope);
    }
    if (scope === "group") return signalGroup(host, id, signal, leader);
    if (signal === "SIGKILL") return await killAll(host, id, leader);
    const tree = find(host, id, leader).tree;
    return tree.filter((row) => host.kill(row, signal)).length;
  }

  /** Kills what earlier runs of the daemon waited for. Resolves to the number of processes found. */
  async killOrphans(): Promise<number> {
    const host = await this.host();
    if (!host) {
      const marks = { wanted: `${DAEMON_VARIABLE}=`, spared: `${DAEMON_VARIABLE}=${DAEMON}` };
      return await signalInside(this.engine, this, marks, "SIGKILL", "all");
    }
    const orphans = host.rows().filter(({ orphan }) => orphan);
    let found = 0;
    for (const id of new Set(orphans.map(({ marker }) => marker)))
      if (id) found += await killAll(host, id, undefined);
    return found;
  }

  /** The container's processes as they know themselves; none where they can't be seen from outside. */
  async table(): Promise<{ pid: number; argv: Buffer[]; processId?: string }[]> {
    const host = await this.host();
    const rows = host?.rows() ?? [];
    return rows.flatMap((row) => {
      const pid = host?.pidInside(row.pid);
      if (pid === undefined || row.state === "Z") return [];
      const argv = host?.argv(row.pid) ?? [];
      if (row.parent === host?.initPid && argv.join(" ") === PLACEHOLDER) return [];
      return [{ pid, argv, ...(row.marker ? { processId: row.marker } : {}) }];
    });
  }
}

function find(host: HostProcfs, id: string, known: ProcessRow | undefined) {
  const rows = host.rows();
  const leader =
    rows.find((row) => row.pid === known?.pid && row.startTicks === known.startTicks) ??
    leaderOf(id, rows);
  return { rows, leader, tree: treeOf(id, leader?.pid, rows) };
}

function signalGroup(
  host: HostProcfs,
  id: string,
  signal: NodeJS.Signals,
  known: ProcessRow | undefined,
): number {
  const { rows, leader } = find(host, id, known);
  if (!leader) throw new GuestError("closed", "The process has ended.");
  const group = rows.filter((row) => row.group === leader.group);
  return group.filter((row) => host.kill(row, signal)).length;
}

/** Stops all first, so that nobody forks away from under the search, then kills until none is left. */
async function killAll(
  host: HostProcfs,
  id: string,
  known: ProcessRow | undefined,
): Promise<number> {
  let found = 0;
  const look = (): ProcessRow[] => {
    const { tree } = find(host, id, known);
    found = Math.max(found, tree.length);
    return tree;
  };
  for (let round = 0; round < STOP_ROUNDS; round++) {
    const running = look().filter((row) => row.state !== "T" && row.state !== "t");
    const stopped = running.filter((row) => host.kill(row, "SIGSTOP"));
    if (stopped.length === 0) break;
    await delay(0);
  }
  for (let round = 0; round < KILL_ROUNDS; round++) {
    const alive = look();
    if (alive.length === 0) break;
    for (const row of alive) host.kill(row, "SIGKILL");
    await delay(round < 4 ? 1 : 10);
  }
  return found;
}
