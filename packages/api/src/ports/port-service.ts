import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { ClawdspaceError, type Port, type PortList, type PortReady } from "@clawdspace/protocol";
import { type Guest, GuestError, type GuestTableEntry } from "../guest/types.js";
import type { Guests } from "../spaces/guests.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import type { SpaceService } from "../spaces/space-service.js";

const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 250;
const PROBE_END_MS = 1000;
/** Where the engine puts its name server into a space: none of the space's own. */
const ENGINE_RESOLVER = "127.0.0.11";
/** Ports that an error names: a space may listen on a great many. */
const MAX_TOLD = 20;

/** TCP ports inside spaces, reached through the guest agent: nothing is published, and no network is needed. */
export class PortService {
  readonly #seen = new WeakMap<SpaceEntry, Port[]>();

  constructor(
    private readonly spaces: Pick<SpaceService, "find" | "acquire" | "use">,
    private readonly guests: Pick<Guests, "of">,
  ) {}

  /**
   * What listens in a space. Looking wakes none: of one that sleeps it is what was seen last.
   * Throws `not_found`, `unprocessable` where the space has no guest agent.
   */
  async list(name: string): Promise<PortList> {
    const entry = await this.spaces.find(name);
    if (entry.state === "running") return { ports: await this.#look(entry) };
    if (entry.state === "paused") return { ports: this.#seen.get(entry) ?? [], asleep: true };
    return { ports: [] };
  }

  /** Resolves as soon as something accepts on a port. Throws `timed_out` with what listens instead. */
  async wait(
    name: string,
    port: number,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<PortReady> {
    const began = Date.now();
    return await this.spaces.use(name, async (entry) => {
      const guest = await this.#guestOf(entry);
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
        if (await accepts(guest, port, signal)) return { port, waitedMs: Date.now() - began };
        const left = began + timeoutMs - Date.now();
        if (left <= 0) throw notInTime(entry, port, timeoutMs, await this.#look(entry));
        await delay(Math.min(pause, left), undefined, { signal });
      }
    });
  }

  /**
   * A connection to a port of a space, which stays awake until the connection is closed: the caller destroys it.
   * Throws `not_found`, `wrong_state` where nothing listens, `rate_limited` where the space has too many connections.
   */
  async connect(name: string, port: number, signal: AbortSignal): Promise<Duplex> {
    const { entry, release } = await this.spaces.acquire(name);
    try {
      const connection = await (await this.#guestOf(entry)).connect(port, signal);
      connection.once("close", release);
      // Whoever uses it looks at its errors too; one that comes when nobody does must not end the daemon.
      connection.on("error", () => {});
      return connection;
    } catch (error) {
      release();
      throw toConnectError(error, name, port);
    }
  }

  async #look(entry: SpaceEntry): Promise<Port[]> {
    const guest = await this.#guestOf(entry);
    const [listening, table] = await Promise.all([guest.listeningPorts(), guest.processTable()]);
    const processes = new Map(table.map((process) => [process.pid, process]));
    const ports = listening
      .filter(({ address, pid }) => address !== ENGINE_RESOLVER || pid !== undefined)
      .map(({ port, address, pid, processId }): Port => {
        const process = pid === undefined ? undefined : processes.get(pid);
        const owner = processId ?? process?.processId;
        return {
          port,
          address,
          ...(pid === undefined ? {} : { pid }),
          ...(process ? { command: commandOf(process) } : {}),
          ...(owner === undefined ? {} : { processId: owner }),
        };
      })
      .sort((a, b) => a.port - b.port || a.address.localeCompare(b.address));
    this.#seen.set(entry, ports);
    return ports;
  }

  async #guestOf(entry: SpaceEntry): Promise<Guest> {
    if (entry.spec.guest) return await this.guests.of(entry);
    throw new ClawdspaceError(
      "unprocessable",
      `The guest agent does not run in the image of space "${entry.name}", and ports are reached through it. Use an image for this node's architecture.`,
    );
  }
}

async function accepts(guest: Guest, port: number, signal: AbortSignal): Promise<boolean> {
  try {
    const connection = await guest.connect(port, signal);
    // An orderly end: a reset would be an error that ends some servers.
    connection
      .on("error", () => {})
      .resume()
      .end();
    const timer = setTimeout(() => connection.destroy(), PROBE_END_MS).unref();
    connection.once("close", () => clearTimeout(timer));
    return true;
  } catch (error) {
    if (error instanceof GuestError && error.code === "refused") return false;
    throw error;
  }
}

function commandOf({ argv }: GuestTableEntry): string {
  return argv.map((argument) => argument.toString("utf8")).join(" ");
}

function toConnectError(error: unknown, name: string, port: number): unknown {
  if (!(error instanceof GuestError)) return error;
  if (error.code === "refused") {
    return new ClawdspaceError(
      "wrong_state",
      `Nothing listens on port ${port} of space "${name}". Start a server there, or wait for one: POST /api/spaces/${name}/ports/${port}/wait`,
      { cause: error },
    );
  }
  if (error.code === "limit") {
    return new ClawdspaceError(
      "rate_limited",
      `Space "${name}" has as many connections as it may have. Close some, then try again.`,
      { cause: error, retryAfterSeconds: 1 },
    );
  }
  return error;
}

function notInTime(entry: SpaceEntry, port: number, timeoutMs: number, ports: Port[]) {
  const listening = ports
    .slice(0, MAX_TOLD)
    .map((each) => `${each.port}${each.command ? ` (${each.command.slice(0, 80)})` : ""}`);
  return new ClawdspaceError(
    "timed_out",
    `Nothing accepted on port ${port} of space "${entry.name}" within ${timeoutMs} ms. ${
      listening.length > 0
        ? `What listens there: ${listening.join(", ")}.`
        : "Nothing listens there."
    }`,
  );
}
