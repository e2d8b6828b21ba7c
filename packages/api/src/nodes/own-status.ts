import os from "node:os";
import type { Gpu, PeerStatus } from "@clawdspace/protocol";
import type { Engine } from "../engine/engine.js";
import type { SpaceRegistry } from "../spaces/registry.js";
import type { SystemService } from "../system/system-service.js";
import { VERSION } from "../version.js";

interface Parts {
  engine: Engine;
  system: SystemService;
  registry: SpaceRegistry;
  /** Whose presence is told. */
  images: string[];
  labels: Record<string, string>;
  isDrained: () => boolean;
  /** Memory promised to spaces that are being made. */
  reservedBytes: () => number;
  gpus: () => Promise<Gpu[]>;
}

/** What this node tells the others of itself. Throws `EngineError` while its engine is gone: it can't take spaces then. */
export async function ownStatus(parts: Parts): Promise<Omit<PeerStatus, "node">> {
  const { engine, registry } = parts;
  const [info, capabilities, disk, spaces, gpus, ...images] = await Promise.all([
    engine.info(),
    parts.system.capabilities(),
    parts.system.disk(),
    registry.all(),
    parts.gpus(),
    ...parts.images.map(async (ref) => ((await engine.findImage(ref)) ? ref : undefined)),
  ]);
  return {
    version: VERSION,
    capabilities,
    load: {
      memoryFree: Math.max(0, Math.min(os.freemem(), info.memoryBytes) - parts.reservedBytes()),
      cpusFree: Math.round((info.cpus - (os.loadavg()[0] ?? 0)) * 100) / 100,
      ...(disk ? { disk } : {}),
      spaces: spaces.length,
      drained: parts.isDrained(),
      runtimes: info.runtimes,
      images: images.filter((ref) => ref !== undefined),
      labels: parts.labels,
      gpus,
    },
    spaces: spaces.map(({ name }) => name),
  };
}
