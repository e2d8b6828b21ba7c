import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Machine, toMachines } from "./tailscale.js";

const TAILSCALE_TIMEOUT_MS = 5000;
const MAX_STATUS_BYTES = 16 * 1024 ** 2;

/** Where nodes are looked for. */
export interface DiscoveryOptions {
  /** `name=url` pairs; where there are any, nothing else is asked. */
  nodes: { name: string; url: string }[];
  /** Only machines with this tag, where it is set. */
  tag: string | undefined;
  /** Only machines of these names, where there are any. */
  allowed: string[];
  /** At which a daemon is looked for. */
  port: number;
}

export interface Discovered {
  machines: Machine[];
  /** Why machines could not be looked for; where it is set, those known before are kept. */
  problem?: string;
}

/** Looks for machines that may run a daemon: those named by the owner, else the tailnet's. Never throws. */
export async function discover(options: DiscoveryOptions): Promise<Discovered> {
  if (options.nodes.length > 0) {
    return { machines: options.nodes.map((node) => ({ ...node, self: false, online: true })) };
  }
  try {
    const { stdout } = await promisify(execFile)("tailscale", ["status", "--json"], {
      timeout: TAILSCALE_TIMEOUT_MS,
      maxBuffer: MAX_STATUS_BYTES,
      killSignal: "SIGKILL",
    });
    return { machines: toMachines(JSON.parse(stdout), options) };
  } catch (error) {
    // A machine that has no Tailscale is a fleet of one, and nothing is wrong with that.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { machines: [] };
    const why = error instanceof Error ? error.message.trim() : String(error);
    return { machines: [], problem: `\`tailscale status --json\` failed: ${why.slice(0, 300)}` };
  }
}
