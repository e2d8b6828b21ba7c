import type { GpuKind } from "@clawdspace/protocol";
import { parse } from "yaml";
import { z } from "zod";

/** A GPU of this machine. */
export interface GpuDevice {
  id: string;
  index: number;
  kind: GpuKind;
  name: string;
  /** Bytes. */
  memory?: number;
  /** Files that a container needs, and the groups that may open them; where a driver's hook sees to that, none. */
  devices: string[];
  groups: number[];
}

const MIB = 1024 ** 2;

/** Lines of `nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits`. */
export function fromNvidiaSmi(printed: string): GpuDevice[] {
  return printed.split("\n").flatMap((line) => {
    const [index = "", uuid = "", name = "", memory = ""] = line
      .split(",")
      .map((part) => part.trim());
    if (!/^\d+$/.test(index) || name === "") return [];
    const id = /^(GPU|MIG)-/.test(uuid) ? uuid : index;
    // Some drivers print "[N/A]" for what is shared with the machine's memory.
    const bytes = /^\d+$/.test(memory) ? { memory: Number(memory) * MIB } : {};
    return [
      {
        id,
        index: Number(index),
        kind: "nvidia" as const,
        name,
        ...bytes,
        devices: [],
        groups: [],
      },
    ];
  });
}

const RocmSchema = z.record(z.string(), z.record(z.string(), z.unknown()));

/** What `rocm-smi --showproductname --showuniqueid --showmeminfo vram --json` prints. */
export function fromRocmSmi(printed: string): GpuDevice[] {
  const cards = RocmSchema.safeParse(parsed(printed));
  if (!cards.success) return [];
  return Object.entries(cards.data).flatMap(([card, facts]) => {
    const index = Number(/^card(\d+)$/.exec(card)?.[1] ?? Number.NaN);
    if (Number.isNaN(index)) return [];
    const text = (...names: string[]) =>
      names.map((name) => facts[name]).find((fact) => fact) as string | undefined;
    const memory = Number(text("VRAM Total Memory (B)"));
    return [
      {
        id: text("Unique ID") ?? `amd-${index}`,
        index,
        kind: "amd" as const,
        name: text("Card Series", "Card series", "Card Model", "Card model") ?? "AMD GPU",
        ...(memory > 0 ? { memory } : {}),
        devices: [],
        groups: [],
      },
    ];
  });
}

const CdiSchema = z.object({
  kind: z.string(),
  devices: z.array(z.object({ name: z.coerce.string() })),
});

/** The devices of a CDI specification, where it is one of NVIDIA's. */
export function fromCdi(text: string): GpuDevice[] {
  const spec = CdiSchema.safeParse(parsed(text));
  if (!spec.success || spec.data.kind !== "nvidia.com/gpu") return [];
  return spec.data.devices
    .filter(({ name }) => /^\d+$/.test(name))
    .map(({ name }) => ({
      ...{ id: name, index: Number(name), kind: "nvidia" as const },
      ...{ name: "NVIDIA GPU", devices: [], groups: [] },
    }));
}

/** JSON is YAML too. */
function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
