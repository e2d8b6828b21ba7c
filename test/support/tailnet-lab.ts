import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { docker, dockerHost, removeNamespace } from "./daemon.js";
import { FleetNode } from "./fleet-lab.js";
import { until } from "./lab.js";

const exec = promisify(execFile);
const HOST_SCRIPT = resolve(import.meta.dirname, "lab-host.mjs");
const SERVER = "10.99.0.254";
const PROXY = "127.0.0.1:1055";

export interface MachineOptions {
  /** Tailscale gets no interface, and lets others in and out by the loopback. */
  userspace?: boolean;
  tags?: string[];
  /** Of its daemon; a machine without one has a Tailscale only. */
  daemon?: Record<string, string>;
}

/** A machine of the tailnet in a network namespace of its own, with a tailscaled, and a daemon at the tests' engine. */
class Machine {
  readonly node: FleetNode;
  readonly namespace: string;
  #tailscaled: ChildProcess | undefined;

  constructor(
    readonly name: string,
    readonly netns: string,
    readonly folder: string,
    key: string,
    private readonly tools: string,
    private readonly options: MachineOptions,
  ) {
    this.node = new FleetNode(name, "", netns, folder, key);
    this.namespace = netns;
  }

  get #log(): string {
    return join(this.folder, "tailscaled.log");
  }

  /** Starts its tailscaled, which goes on with what it was before. */
  async connect(): Promise<void> {
    const { netns, folder, tools } = this;
    const tun = this.options.userspace ? "userspace-networking" : "ts0";
    const flags = [
      ...[`--tun=${tun}`, `--statedir=${folder}`, `--state=${folder}/state`],
      ...[`--socket=${folder}/tailscaled.sock`, `--outbound-http-proxy-listen=${PROXY}`],
    ];
    const line = `exec ${tools}/tailscaled ${flags.join(" ")} >>${this.#log} 2>&1`;
    const env = {
      ...{ PATH: process.env.PATH, HOME: folder, TS_LOGS_DIR: folder },
      // It must never ask Tailscale's own servers for anything.
      ...{ TS_NO_LOGS_NO_SUPPORT: "true", TS_PANIC_IF_HIT_MAIN_CONTROL: "1" },
    };
    this.#tailscaled = spawn("ip", ["netns", "exec", netns, "sh", "-c", line], {
      ...{ env, stdio: "ignore" },
    });
    await until(`the tailscaled of ${this.name} answers`, () =>
      this.tailscale("status", "--json").then(
        () => true,
        () => false,
      ),
    );
  }

  async join(): Promise<void> {
    const { name, options } = this;
    const flags = [
      ...[`--login-server=http://${SERVER}:8080`, `--hostname=${name}`, "--accept-dns=false"],
      ...["--netfilter-mode=off", "--timeout=60s"],
      ...(options.tags ? [`--advertise-tags=${options.tags.join()}`] : []),
    ];
    await this.tailscale("up", ...flags).catch(async (cause: Error) => {
      const log = await readFile(this.#log, "utf8");
      throw new Error(`${cause.message}\n${log.slice(-3000)}`, { cause });
    });
  }

  async disconnect(): Promise<void> {
    const child = this.#tailscaled;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  async tailscale(...args: string[]): Promise<string> {
    return (await exec(join(this.node.bin, "tailscale"), args)).stdout;
  }

  async startDaemon(): Promise<void> {
    if (!this.options.daemon) return;
    const env = {
      ...{ DOCKER_HOST: dockerHost, CLAWDSPACE_NAMESPACE: this.namespace, CLAWDSPACE_POOL: "0" },
      ...(this.options.userspace ? { CLAWDSPACE_NODE_PROXY: `http://${PROXY}` } : {}),
      ...this.options.daemon,
    };
    await this.node.startDaemon(env);
  }

  async stop(): Promise<void> {
    await this.node.stop();
    await this.disconnect();
  }

  /** Removes what its daemon has made in the engine, also what that was still making as the daemon ended. */
  async clear(): Promise<void> {
    const filters = { label: [`clawdspace.namespace=${this.namespace}`] };
    await until(`nothing is left of ${this.name}`, async () => {
      const failed = await removeNamespace(this.namespace).then(
        () => false,
        () => true,
      );
      return !failed && (await docker.listContainers({ all: true, filters })).length === 0;
    });
  }
}

/** A tailnet on this machine: a server of its own, and machines that Tailscale connects. */
export class TailnetLab {
  readonly machines: Machine[] = [];
  readonly #id = randomBytes(3).toString("hex");
  readonly #key = `tailnet-key-${randomBytes(8).toString("hex")}`;
  readonly #children: ChildProcess[] = [];

  private constructor(
    private readonly tools: string,
    private readonly folder: string,
  ) {}

  /** @param tools the folder with Tailscale's programs */
  static async start(tools: string, machines: Record<string, MachineOptions>): Promise<TailnetLab> {
    const lab = new TailnetLab(tools, await mkdtemp(join(tmpdir(), "clawdspace-tailnet-")));
    try {
      await lab.#make(machines);
      return lab;
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  get #hub(): string {
    return `tail${this.#id}-hub`;
  }

  async #make(machines: Record<string, MachineOptions>): Promise<void> {
    const { tools } = this;
    await ip("netns", "add", this.#hub);
    await ip("-n", this.#hub, "link", "set", "lo", "up");
    await ip("-n", this.#hub, "link", "add", "br0", "type", "bridge");
    await ip("-n", this.#hub, "link", "set", "br0", "up");
    await ip("-n", this.#hub, "addr", "add", `${SERVER}/24`, "dev", "br0");
    await this.#spawnReady(this.#hub, [join(tools, "tailnet"), SERVER]);
    for (const [name, options] of Object.entries(machines)) await this.#add(name, options);
    await Promise.all(this.machines.map((machine) => machine.connect()));
    // One after the other, so that each has the address that it is expected to have.
    for (const machine of this.machines) await machine.join();
    for (const machine of this.machines) {
      await machine.startDaemon();
      const socket = join(machine.folder, "api.sock");
      const args = [process.execPath, HOST_SCRIPT, socket, "forward:7777"];
      await this.#spawnReady(machine.netns, args);
    }
  }

  async #add(name: string, options: MachineOptions): Promise<void> {
    const [netns, hub, folder] = [`tail${this.#id}-${name}`, this.#hub, join(this.folder, name)];
    const address = `10.99.0.${this.machines.length + 1}`;
    for (const each of ["bin", "data", "config"]) {
      await mkdir(join(folder, each), { recursive: true });
    }
    await ip("netns", "add", netns);
    await ip("-n", netns, "link", "set", "lo", "up");
    await ip("link", "add", name, "netns", hub, "type", "veth", "peer", "eth0", "netns", netns);
    await ip("-n", hub, "link", "set", name, "master", "br0", "up");
    await ip("-n", netns, "addr", "add", `${address}/24`, "dev", "eth0");
    await ip("-n", netns, "link", "set", "eth0", "up");
    // Tailscale takes a machine without a default route for one that is offline.
    await ip("-n", netns, "route", "add", "default", "via", SERVER);
    const command = join(folder, "bin/tailscale");
    const line = `exec ${this.tools}/tailscale --socket=${folder}/tailscaled.sock "$@"`;
    await writeFile(command, `#!/bin/sh\n${line}\n`);
    await chmod(command, 0o755);
    const machine = new Machine(name, netns, folder, this.#key, this.tools, options);
    this.machines.push(machine);
  }

  async #spawnReady(netns: string, command: string[]): Promise<void> {
    const child = spawn("ip", ["netns", "exec", netns, ...command], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.push(child);
    let complaint = "";
    child.stderr.on("data", (data: Buffer) => {
      complaint = `${complaint}${data}`.slice(-2000);
    });
    const ended = once(child, "exit").then(() => {
      throw new Error(`${command.join(" ")} ended:\n${complaint}`);
    });
    await Promise.race([once(child.stdout, "data"), ended]);
    ended.catch(() => {});
  }

  async stop(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.stop()));
    for (const machine of this.machines) await machine.clear();
    for (const child of this.#children) child.kill("SIGKILL");
    for (const netns of [...this.machines.map((machine) => machine.netns), this.#hub]) {
      await ip("netns", "del", netns).catch(() => {});
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

const ip = async (...args: string[]) => {
  await exec("ip", args);
};
