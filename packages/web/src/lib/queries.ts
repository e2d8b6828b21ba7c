import { clockFinding, type Space } from "@clawdspace/client";
import { queryOptions } from "@tanstack/react-query";
import { api } from "../api.js";

/** How often other nodes' spaces are looked at: the event stream tells of this node's own. */
const FLEET_MS = 10_000;
/** How often figures are looked at that change without an event: loads, free memory and disk, latencies. */
const FIGURES_MS = 30_000;
/** How often the doctor is asked while somebody reads what it found. */
const DOCTOR_MS = 60_000;

/** What the daemon finds on its node, and how this browser's clock compares with the node's. */
async function doctor() {
  const { checks, checkedAt } = await api.doctor();
  return [...checks, clockFinding(Date.parse(checkedAt), Date.now())];
}

/** The spaces of the other nodes, each by the name that reaches it from here, "name@node". */
async function elsewhere(self: string): Promise<Space[]> {
  const { spaces } = await api.spaces.listAll();
  return spaces.flatMap((space) =>
    space.node === undefined || space.node === self
      ? []
      : [{ ...space, name: `${space.name}@${space.node}` }],
  );
}

/** Everything that is asked of the daemon, under the keys by which the event stream marks it as outdated. */
export const queries = {
  spaces: () => queryOptions({ queryKey: ["spaces"], queryFn: () => api.spaces.list() }),
  elsewhere: (self: string) =>
    queryOptions({
      queryKey: ["elsewhere"],
      queryFn: () => elsewhere(self),
      refetchInterval: FLEET_MS,
    }),
  space: (name: string) =>
    queryOptions({ queryKey: ["space", name], queryFn: () => api.space(name).get() }),
  metrics: (name: string, live: boolean) =>
    queryOptions({
      queryKey: ["metrics", name],
      queryFn: () => api.space(name).metrics(),
      staleTime: 15_000,
      // Measurements are no events: they are looked at again while somebody sees them.
      refetchInterval: live ? 15_000 : false,
      enabled: true,
    }),
  stats: (name: string, live: boolean) =>
    queryOptions({
      queryKey: ["stats", name],
      queryFn: () => api.space(name).stats(),
      enabled: live,
      refetchInterval: live ? 3000 : false,
    }),
  templates: () => queryOptions({ queryKey: ["templates"], queryFn: () => api.templates.list() }),
  template: (name: string) =>
    queryOptions({ queryKey: ["template", name], queryFn: () => api.templates.get(name) }),
  processes: (name: string) =>
    queryOptions({
      queryKey: ["processes", name],
      queryFn: () => api.space(name).processes.list(),
    }),
  system: () =>
    queryOptions({
      queryKey: ["system"],
      queryFn: () => api.system(),
      refetchInterval: FIGURES_MS,
    }),
  doctor: () => queryOptions({ queryKey: ["doctor"], queryFn: doctor, refetchInterval: DOCTOR_MS }),
  health: () => queryOptions({ queryKey: ["health"], queryFn: () => api.health() }),
  keys: () => queryOptions({ queryKey: ["keys"], queryFn: () => api.keys.list() }),
  nodes: () =>
    queryOptions({ queryKey: ["nodes"], queryFn: () => api.nodes(), refetchInterval: FIGURES_MS }),
};

export const isAwake = (space: Pick<Space, "status">) => space.status === "running";
