import { statfs } from "node:fs/promises";
import os from "node:os";
import type { Capabilities, System } from "@clawdspace/protocol";
import type { Engine } from "../engine/engine.js";
import { detectGpus } from "../gpu/detect.js";

const GPU_KEPT_MS = 60_000;

interface Gpu {
  gpu: boolean;
  gpuName?: string;
  gpuMemory?: string;
}

/** Bytes. */
interface Disk {
  total: number;
  used: number;
  free: number;
}

/** What this node is and how full it is. */
export class SystemService {
  #gpu: { at: number; found: Promise<Gpu> } | undefined;

  /** @param dataDir the folder whose file system "disk" speaks of. */
  constructor(
    private readonly engine: Engine,
    private readonly dataDir: string,
  ) {}

  async system(): Promise<System> {
    const [docker, gpu, disk] = await Promise.all([
      this.engine.info(),
      this.#findGpu(),
      diskOf(this.dataDir),
    ]);
    const [one = 0, five = 0, fifteen = 0] = os.loadavg();
    const used = os.totalmem() - os.freemem();
    return {
      hostname: os.hostname(),
      platform: os.platform(),
      arch: os.arch(),
      cpus: os.cpus().length,
      loadAverage: [one, five, fifteen],
      memory: {
        total: gigabytes(os.totalmem()),
        free: gigabytes(os.freemem()),
        used: gigabytes(used),
        percentage: percent(used, os.totalmem()),
      },
      disk,
      uptime: uptimeText(os.uptime()),
      docker: {
        version: docker.version,
        containers: docker.containers,
        containersRunning: docker.containersRunning,
        containersPaused: docker.containersPaused,
        images: docker.images,
      },
      capabilities: { ...gpu, arch: os.arch(), platform: os.platform() },
    };
  }

  async capabilities(): Promise<Capabilities> {
    const gpu = await this.#findGpu();
    return {
      ...gpu,
      arch: os.arch(),
      platform: os.platform(),
      cpus: os.cpus().length,
      memory: os.totalmem(),
    };
  }

  /** The file system of the daemon's data, in bytes; undefined where that can't be told. */
  async disk(): Promise<Disk | undefined> {
    return (await bytesOf(this.dataDir)) ?? undefined;
  }

  #findGpu(): Promise<Gpu> {
    if (!this.#gpu || Date.now() - this.#gpu.at > GPU_KEPT_MS)
      this.#gpu = { at: Date.now(), found: findGpu() };
    return this.#gpu.found;
  }
}

async function findGpu(): Promise<Gpu> {
  const [gpu] = await detectGpus();
  if (!gpu) return { gpu: false };
  const gpuMemory = gpu.memory && `${Math.round(gpu.memory / 1024 ** 2)} MiB`;
  return { gpu: true, gpuName: gpu.name, ...(gpuMemory ? { gpuMemory } : {}) };
}

/** How full the file system of a folder is; null where that can't be told. */
export async function diskOf(folder: string): Promise<System["disk"]> {
  const disk = await bytesOf(folder);
  return (
    disk && {
      total: gigabytes(disk.total),
      used: gigabytes(disk.used),
      available: gigabytes(disk.free),
      percentage: percent(disk.used, disk.used + disk.free),
    }
  );
}

/** In bytes; what only root may write to is neither used nor free. */
async function bytesOf(folder: string): Promise<Disk | null> {
  try {
    const { blocks, bfree, bavail, bsize } = await statfs(folder);
    return { total: blocks * bsize, used: (blocks - bfree) * bsize, free: bavail * bsize };
  } catch {
    return null;
  }
}

const gigabytes = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GB`;
const percent = (part: number, whole: number) =>
  `${((100 * part) / Math.max(1, whole)).toFixed(1)}%`;

/** Seconds as "3d 4h 5m". */
export function uptimeText(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 1440)}d ${Math.floor((minutes % 1440) / 60)}h ${minutes % 60}m`;
}
