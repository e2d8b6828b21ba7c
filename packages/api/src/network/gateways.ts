import { createInterface } from "node:readline";
import type { FastifyBaseLogger } from "fastify";
import type { AttachedStreams, Engine } from "../engine/engine.js";
import { SANDBOX_UID, SANDBOX_USER } from "../spaces/container-spec.js";
import { LABEL, type Names } from "../spaces/names.js";
import { type GatewayReport, gatewayProgram, parseGatewayLine, READY } from "./gateway-program.js";
import type { SpaceNetwork } from "./ruleset.js";

const START_MS = 20_000;
const MIB = 1024 ** 2;

interface Parts {
  engine: Engine;
  names: Names;
  /** Holds bash, dnsmasq and haproxy. */
  image: string;
  log: FastifyBaseLogger;
  report: (report: GatewayReport) => void;
}

/**
 * The containers that stand between spaces with a list of domains and those names: one for each list, on the bridge of
 * the spaces, as confined as a space is. They outlive the daemon.
 */
export class Gateways {
  /** By address: what the running container prints is read from here. */
  readonly #read = new Map<string, AttachedStreams>();
  #serial: Promise<unknown> = Promise.resolve();

  constructor(private readonly parts: Parts) {}

  /** Sees to it that a gateway runs at an address. Throws an `Error` that says why none can. */
  async ensure(network: SpaceNetwork, address: string, domains: readonly string[]): Promise<void> {
    await this.#inTurn(async () => {
      const running = await this.#find(address);
      if (running?.state === "running") {
        if (!this.#read.has(address)) await this.#follow(address, running.id);
        return;
      }
      if (running) await this.parts.engine.removeContainer(running.id);
      await this.#make(network, address, domains);
    });
  }

  /** Removes the gateways at all other addresses than those that are wanted when its turn comes. */
  async keepOnly(addressesNow: () => ReadonlySet<string>): Promise<void> {
    await this.#inTurn(async () => {
      const addresses = addressesNow();
      for (const { id, address } of await this.#all()) {
        if (addresses.has(address)) continue;
        this.#close(address);
        await this.parts.engine.removeContainer(id);
      }
    });
  }

  /** Ends the reading; the gateways go on. */
  stop(): void {
    for (const address of this.#read.keys()) this.#close(address);
  }

  async #all() {
    const containers = await this.parts.engine.listContainers(this.parts.names.ours);
    return containers.flatMap(({ id, state, labels }) => {
      const address = labels[LABEL.gateway];
      return address === undefined ? [] : [{ id, state, address }];
    });
  }

  async #find(address: string) {
    return (await this.#all()).find((each) => each.address === address);
  }

  async #make(network: SpaceNetwork, address: string, domains: readonly string[]): Promise<void> {
    const { engine, names, log } = this.parts;
    const id = await engine.createContainer({
      ...gatewayProgram(address, domains),
      name: names.gateway(address),
      image: this.parts.image,
      init: true,
      user: SANDBOX_USER,
      workdir: "/",
      hostname: "gateway",
      labels: { ...names.ours, [LABEL.gateway]: address },
      memoryBytes: 128 * MIB,
      cpus: 1,
      pids: 64,
      volumes: [],
      tmpfs: [{ target: "/run", sizeBytes: MIB, mode: 0o700, exec: false, owner: SANDBOX_UID }],
      network: network.name,
      address,
      readonlyRootfs: true,
    });
    try {
      await this.#follow(address, id, () => engine.startContainer(id));
    } catch (error) {
      this.#close(address);
      await engine.removeContainer(id);
      throw error;
    }
    log.info({ address, domains }, "a gateway to listed domains runs");
  }

  /** Reads what a gateway prints. With `start`, starts it and waits until it answers. */
  async #follow(address: string, id: string, start?: () => Promise<void>): Promise<void> {
    const streams = await this.parts.engine.attach(id);
    this.#close(address);
    this.#read.set(address, streams);
    const lines = createInterface({ input: streams.stdout });
    const ready = new Promise<void>((resolve, reject) => {
      const printed: string[] = [];
      lines.on("line", (line) => {
        if (line === READY) resolve();
        if (printed.length < 100) printed.push(line);
        const report = parseGatewayLine(line);
        if (report) this.parts.report(report);
      });
      const end = () => {
        if (this.#read.get(address) === streams) this.#read.delete(address);
        reject(new Error(`the gateway ended: ${printed.join("; ").slice(-500)}`));
      };
      lines.once("close", end);
      // A connection that breaks off.
      lines.once("error", end);
      if (start) setTimeout(reject, START_MS, new Error("the gateway did not start")).unref();
    });
    ready.catch(() => {});
    if (!start) return;
    await start();
    await ready;
  }

  #close(address: string): void {
    const streams = this.#read.get(address);
    this.#read.delete(address);
    streams?.close();
  }

  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#serial.then(task, task);
    this.#serial = turn.catch(() => {});
    return await turn;
  }
}
