import { readdir, readFile, readlink } from "node:fs/promises";
import { docker } from "./daemon.js";

/** What a daemon's process holds: descriptors by kind, and memory in MiB. */
export async function holdings(pid: number): Promise<{
  sockets: number;
  others: number;
  rssMiB: number;
  peakMiB: number;
}> {
  const fds = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(
    fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")),
  );
  const sockets = targets.filter((target) => target.startsWith("socket:")).length;
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const mebibytes = (field: string) =>
    Math.round(Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) / 1024);
  return {
    sockets,
    others: targets.length - sockets,
    rssMiB: mebibytes("VmRSS"),
    peakMiB: mebibytes("VmHWM"),
  };
}

/** Everything of a namespace in the engine: containers with their processes and execs, and volumes. */
export async function engineObjects(namespace: string): Promise<{
  containers: string[];
  volumes: string[];
  /** Command lines of processes beside each container's first. */
  processes: string[];
  execs: number;
}> {
  const filters = { label: [`clawdspace.namespace=${namespace}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  const looks = await Promise.all(
    containers.map(async ({ Id, State }) => {
      const container = docker.getContainer(Id);
      const { ExecIDs } = await container.inspect();
      const top = State === "running" ? await container.top() : { Processes: [] };
      const lines = (top.Processes as string[][]).map((columns) => columns.at(-1) ?? "");
      return { execs: ExecIDs?.length ?? 0, processes: lines.slice(1) };
    }),
  );
  return {
    containers: containers.map(({ Names }) => (Names[0] ?? "").slice(1)).sort(),
    volumes: (Volumes ?? []).map(({ Name }) => Name).sort(),
    processes: looks.flatMap(({ processes }) => processes),
    execs: looks.reduce((total, { execs }) => total + execs, 0),
  };
}
