import type { Node, PlacementNeeds } from "@clawdspace/protocol";

/** What a space needs of the node that it is made on. */
export interface Wanted {
  memoryBytes: number;
  cpus: number;
  /** How many GPUs, and of which kind where that matters. */
  gpus:
    | { count: number; kind?: "nvidia" | "amd" | undefined; shared?: boolean | undefined }
    | undefined;
  image: string;
  /** Whether the image may be pulled where it is missing. */
  mayPull: boolean;
  runtime: string | undefined;
  needs: PlacementNeeds | undefined;
}

/** How much each point of view counts. */
const WEIGHT = { memory: 4, cpu: 3, image: 2, spread: 1 };

/** A node with its score from 0 to 1, or with the reason why it was passed over. */
export type Verdict = { node: string; score: number } | { node: string; passedOver: string };

/** Judges each node, best first and those passed over last. Pure; equal scores go by name, so that the same is always chosen. */
export function judge(wanted: Wanted, nodes: readonly Node[]): Verdict[] {
  const verdicts = nodes.map((node): Verdict => {
    const passedOver = objection(wanted, node);
    return passedOver === undefined
      ? { node: node.name, score: score(wanted, node) }
      : { node: node.name, passedOver };
  });
  const rank = (verdict: Verdict) => ("score" in verdict ? verdict.score : -1);
  return verdicts.sort((a, b) => rank(b) - rank(a) || (a.node < b.node ? -1 : 1));
}

function objection(wanted: Wanted, node: Node): string | undefined {
  const { load, capabilities } = node;
  if (node.state !== "online") return `it is ${node.state.replace("_", " ")}`;
  if (!load || !capabilities) return "its engine doesn't answer";
  if (load.drained) return "it is drained";
  if (capabilities.cpus < wanted.cpus) return `it has ${capabilities.cpus} CPUs`;
  if (load.memoryFree < wanted.memoryBytes) {
    return `it has ${mebibytes(load.memoryFree)} of memory free, and ${mebibytes(wanted.memoryBytes)} are asked for`;
  }
  const { arch, labels = {} } = wanted.needs ?? {};
  if (arch !== undefined && capabilities.arch !== arch)
    return `its architecture is ${capabilities.arch}`;
  if (wanted.runtime !== undefined && !load.runtimes.includes(wanted.runtime)) {
    return `it has no runtime ${wanted.runtime}`;
  }
  const missing = Object.entries(labels).find(([name, value]) => load.labels[name] !== value);
  if (missing) return `it isn't labelled ${missing.join("=")}`;
  if (!wanted.mayPull && !load.images.includes(wanted.image))
    return `it hasn't the image ${wanted.image}`;
  return wanted.gpus && gpuObjection(wanted.gpus, load.gpus);
}

function gpuObjection(
  { count, kind, shared }: NonNullable<Wanted["gpus"]>,
  gpus: NonNullable<Node["load"]>["gpus"],
): string | undefined {
  const suitable = gpus.filter((gpu) => kind === undefined || gpu.kind === kind);
  if (suitable.length === 0) return kind ? `it has no ${kind} GPU` : "it has no GPU";
  if (suitable.length < count) return `it has ${suitable.length} of ${count} GPUs`;
  // Whether those that hold it share it too, the node itself knows.
  const free = suitable.filter(({ usedBy }) => shared || usedBy.length === 0);
  if (free.length >= count) return undefined;
  const holders = [...new Set(suitable.flatMap(({ usedBy }) => usedBy))].join(", ");
  return `its GPUs are held by ${holders}`;
}

function score(wanted: Wanted, { load, capabilities }: Node): number {
  if (!load || !capabilities) return 0;
  const memory = (load.memoryFree - wanted.memoryBytes) / capabilities.memory;
  const cpu = (load.cpusFree - wanted.cpus) / capabilities.cpus;
  const image = load.images.includes(wanted.image) ? 1 : 0;
  const spread = 1 / (1 + load.spaces);
  const sum =
    WEIGHT.memory * unit(memory) +
    WEIGHT.cpu * unit(cpu) +
    WEIGHT.image * image +
    WEIGHT.spread * spread;
  const all = Object.values(WEIGHT).reduce((total, weight) => total + weight, 0);
  return Math.round((1000 * sum) / all) / 1000;
}

const unit = (value: number) => Math.min(1, Math.max(0, value));
const mebibytes = (bytes: number) => `${Math.floor(bytes / 1024 ** 2)} MiB`;
