import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { json } from "node:stream/consumers";
import { promisify } from "node:util";
import Docker from "dockerode";
import WebSocket from "ws";
import { dockerHost } from "./daemon.js";
import { IMAGE, until } from "./lab.js";

const exec = promisify(execFile);
const ENTRY = resolve(import.meta.dirname, "../../packages/api/dist/index.js");
const HOST_SCRIPT = resolve(import.meta.dirname, "lab-host.mjs");
const ROGUE_SCRIPT = resolve(import.meta.dirname, "rogue-listener.mjs");
const ROGUE = "100.64.0.9";
const REFRESH_MS = 2000;

/** What a stand-in prints and notes in place of a GPU's driver. */
const NVIDIA_SMI = `#!/bin/sh
echo "0, GPU-11111111-2222-3333-4444-555555555555, NVIDIA Test Card, 24564"
`;
/** Called by the engine before a container with a device request starts, as NVIDIA's is: notes which GPUs it would hand over. */
const HOOK = `#!/bin/sh
bundle=$(sed -n 's/.*"bundle":"\\([^"]*\\)".*/\\1/p')
grep -o 'NVIDIA_VISIBLE_DEVICES=[^"]*' "$bundle/config.json" >>"$(dirname "$0")/handed-over"
`;

/** One machine of the tailnet: an engine and a daemon in a network namespace of its own. */
export class FleetNode {
  readonly docker: Docker;
  #engine: ChildProcess | undefined;
  #daemon: ChildProcess | undefined;
  log = "";

  constructor(
    readonly name: string,
    readonly address: string,
    readonly netns: string,
    readonly folder: string,
    private readonly key: string,
  ) {
    this.docker = new Docker({ socketPath: join(folder, "docker.sock") });
  }

  get bin(): string {
    return join(this.folder, "bin");
  }

  get #path(): string {
    return `${this.bin}:${process.env.PATH}`;
  }

  async startEngine(subnet: string): Promise<void> {
    const { folder } = this;
    const config = {
      ...{ "data-root": join(folder, "docker"), "exec-root": join(folder, "exec") },
      ...{ pidfile: join(folder, "docker.pid"), hosts: [`unix://${folder}/docker.sock`] },
      "default-address-pools": [{ base: subnet, size: 24 }],
    };
    await writeFile(join(folder, "daemon.json"), JSON.stringify(config));
    const script = `hostname ${this.name}; exec dockerd --config-file ${folder}/daemon.json >>${folder}/dockerd.log 2>&1`;
    const inside = [`--net=/run/netns/${this.netns}`, "unshare", "-u", "-m", "bash", "-c", script];
    this.#engine = spawn("nsenter", inside, {
      stdio: "ignore",
      env: { ...process.env, PATH: this.#path },
    });
    await until(`the engine of ${this.name} answers`, () =>
      this.docker.ping().then(
        () => true,
        () => false,
      ),
    );
    const from = new Docker({ socketPath: dockerHost.replace("unix://", "") });
    const loading = await this.docker.loadImage(await from.getImage(IMAGE).get(), { quiet: true });
    await new Promise((done, failed) => {
      this.docker.modem.followProgress(loading, (error) => (error ? failed(error) : done(null)));
    });
  }

  async startDaemon(env: Record<string, string> = {}): Promise<void> {
    const { folder } = this;
    const daemon = spawn("ip", ["netns", "exec", this.netns, process.execPath, ENTRY], {
      env: {
        ...{ PATH: this.#path, HOME: folder, HOST: "0.0.0.0", CLAWDSPACE_INSECURE_BIND: "true" },
        ...{ API_KEY: this.key, DOCKER_HOST: `unix://${folder}/docker.sock` },
        ...{
          CLAWDSPACE_DATA_DIR: join(folder, "data"),
          CLAWDSPACE_CONFIG_DIR: join(folder, "config"),
        },
        ...{
          NODES_REFRESH_MS: `${REFRESH_MS}`,
          CLAWDSPACE_GPU_IMAGE: IMAGE,
          CLAWDSPACE_NAMESPACE: "fleet",
        },
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#daemon = daemon;
    daemon.once("exit", (code) => {
      if (code)
        console.log(`the daemon of ${this.name} ended with ${code}:\n${this.log.slice(-4000)}`);
    });
    for (const stream of [daemon.stdout, daemon.stderr]) {
      stream.on("data", (data: Buffer) => {
        this.log += data.toString();
      });
    }
  }

  async killDaemon(): Promise<void> {
    await kill(this.#daemon, "SIGKILL");
  }

  /** Drops every packet to and from the other machines, or lets them pass again. */
  async cutOff(cut: boolean): Promise<void> {
    for (const rule of [
      ["INPUT", "-i", "eth0"],
      ["OUTPUT", "-o", "eth0"],
    ]) {
      const args = ["iptables", cut ? "-I" : "-D", ...rule, "-j", "DROP"];
      await exec("ip", ["netns", "exec", this.netns, ...args]);
    }
  }

  /** A request to this node's daemon with the owner's key; the answer's body is still to be read. */
  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<IncomingMessage> {
    const raw = body instanceof Uint8Array;
    const sent = request({
      socketPath: join(this.folder, "api.sock"),
      ...{ method, path, agent: false },
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(body === undefined || raw ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    });
    sent.end(raw || body === undefined ? body : JSON.stringify(body));
    const [answer] = await once(sent, "response");
    return answer;
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, and assert what they find
  async json(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
    const answer = await this.send(method, path, body);
    return { status: answer.statusCode ?? 0, body: await json(answer) };
  }

  terminal(space: string): WebSocket {
    return new WebSocket(
      `ws+unix://${this.folder}/api.sock:/api/spaces/${space}/terminal?key=${this.key}`,
    );
  }

  async stop(): Promise<void> {
    await kill(this.#daemon, "SIGTERM");
    const containers = await this.docker.listContainers({ all: true }).catch(() => []);
    await Promise.all(
      containers.map(({ Id }) => this.docker.getContainer(Id).remove({ force: true, v: true })),
    );
    await kill(this.#engine, "SIGTERM");
  }
}

/** A tailnet of three machines with a node on each, and a fourth on which something else listens at the daemon's port. */
export class FleetLab {
  readonly id = randomBytes(3).toString("hex");
  readonly key = `fleet-key-${randomBytes(8).toString("hex")}`;
  readonly nodes: FleetNode[] = [];
  readonly #children: ChildProcess[] = [];

  private constructor(readonly folder: string) {}

  static async start(): Promise<FleetLab> {
    const lab = new FleetLab(await mkdtemp(join(tmpdir(), "clawdspace-fleet-")));
    try {
      await lab.#make();
      return lab;
    } catch (error) {
      const logs = lab.nodes.map(({ name, log }) => `${name}:\n${log.slice(-2000)}`).join("\n");
      await lab.stop();
      throw new Error(logs, { cause: error });
    }
  }

  get #hub(): string {
    return `fleet${this.id}-hub`;
  }

  async #make(): Promise<void> {
    await ip("netns", "add", this.#hub);
    await ip("-n", this.#hub, "link", "add", "br0", "type", "bridge");
    await ip("-n", this.#hub, "link", "set", "br0", "up");
    await ip("-n", this.#hub, "addr", "add", `${ROGUE}/24`, "dev", "br0");
    const heard = join(this.folder, "heard");
    await this.#spawnReady(this.#hub, [ROGUE_SCRIPT, ROGUE, heard]);
    for (const [at, name] of ["vps", "laptop", "gpubox"].entries()) await this.#add(name, at + 1);
    for (const node of this.nodes) await this.#tailscale(node);
    await Promise.all(this.nodes.map((node, at) => node.startEngine(`10.${214 + at}.0.0/16`)));
    for (const node of this.nodes) {
      await node.startDaemon();
      await this.#spawnReady(node.netns, [
        HOST_SCRIPT,
        join(node.folder, "api.sock"),
        "forward:7777",
      ]);
    }
  }

  async #add(name: string, number: number): Promise<void> {
    const [netns, address, hub] = [`fleet${this.id}-${name}`, `100.64.0.${number}`, this.#hub];
    const folder = join(this.folder, name);
    for (const each of ["bin", "data", "config"])
      await mkdir(join(folder, each), { recursive: true });
    await ip("netns", "add", netns);
    await ip("-n", netns, "link", "set", "lo", "up");
    await ip("link", "add", name, "netns", hub, "type", "veth", "peer", "eth0", "netns", netns);
    await ip("-n", hub, "link", "set", name, "master", "br0", "up");
    await ip("-n", netns, "addr", "add", `${address}/24`, "dev", "eth0");
    await ip("-n", netns, "link", "set", "eth0", "up");
    this.nodes.push(new FleetNode(name, address, netns, folder, this.key));
    if (name !== "gpubox") return;
    await script(join(folder, "bin", "nvidia-smi"), NVIDIA_SMI);
    await script(join(folder, "bin", "nvidia-container-runtime-hook"), HOOK);
  }

  /** A `tailscale` that prints what the real one does of such a tailnet. */
  async #tailscale(node: FleetNode): Promise<void> {
    const peer = (name: string, address: string) => ({
      ...{ ID: `n${name}`, HostName: name, DNSName: `${name}.tail1234.ts.net.`, OS: "linux" },
      ...{ TailscaleIPs: [address, "fd7a:115c:a1e0::1"], Online: true, Active: true },
    });
    const others = this.nodes.filter((each) => each !== node);
    const peers = [...others.map(({ name, address }) => peer(name, address)), peer("rogue", ROGUE)];
    const status = {
      ...{ Version: "1.80.0", BackendState: "Running", Self: peer(node.name, node.address) },
      Peer: Object.fromEntries(peers.map((each) => [`nodekey:${each.ID}`, each])),
    };
    await writeFile(join(node.folder, "status.json"), JSON.stringify(status));
    await script(
      join(node.bin, "tailscale"),
      `#!/bin/sh\n[ "$*" = "status --json" ] && cat ${node.folder}/status.json\n`,
    );
  }

  /** All that the machine without a daemon was sent. */
  async heard(): Promise<string> {
    return await readFile(join(this.folder, "heard"), "utf8");
  }

  async #spawnReady(netns: string, args: string[]): Promise<void> {
    const child = spawn("ip", ["netns", "exec", netns, process.execPath, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.push(child);
    await once(child.stdout, "data");
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    for (const child of this.#children) child.kill("SIGKILL");
    for (const netns of [...this.nodes.map((node) => node.netns), this.#hub]) {
      await ip("netns", "del", netns).catch(() => {});
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function kill(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}

async function script(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o755);
}

const ip = async (...args: string[]) => {
  await exec("ip", args);
};
