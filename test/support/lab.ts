import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import Docker from "dockerode";
import { dockerHost } from "./daemon.js";

const exec = promisify(execFile);
const ENTRY = resolve(import.meta.dirname, "../../packages/api/dist/index.js");
const UNINSTALL_SCRIPT = resolve(import.meta.dirname, "../../scripts/uninstall-network.mjs");
const HOST_SCRIPT = resolve(import.meta.dirname, "lab-host.mjs");
export const IMAGE = "clawdspace:latest";
const READY_MS = 30_000;

/** The hosts of the little world around the node, by the addresses at which each serves. */
export const WORLD = {
  internet: ["203.0.113.10", "203.0.113.20"],
  lan: ["192.168.77.2", "192.168.77.3", "100.64.0.9"],
  metadata: ["169.254.169.254"],
} as const;
/** The node's own addresses there. */
export const NODE = { internet: "203.0.113.1", lan: "192.168.77.1" };
export const INTERNET_V6 = "2001:db8:1::10";
export const NODE_V6 = "2001:db8:1::1";
export const RESOLVER = "192.168.77.2";

interface LabOptions {
  /** Added to the engine's configuration file. */
  engine?: Record<string, unknown>;
  /** Runs the daemon as this user in the host's own network, with no more than the engine's socket. */
  unprivileged?: boolean;
  env?: Record<string, string>;
}

/**
 * A node in network namespaces of its own, so that rules can be set and lost without touching this machine's: an
 * engine and a daemon in one, and hosts that play the internet, the local network and a cloud's metadata service.
 */
export class Lab {
  readonly id = randomBytes(3).toString("hex");
  readonly key = `lab-key-${this.id}`;
  readonly namespace = `lab-${this.id}`;
  readonly docker: Docker;
  daemonLog = "";
  #children: ChildProcess[] = [];
  #holder: ChildProcess | undefined;
  #engine: ChildProcess | undefined;
  #daemon: ChildProcess | undefined;

  private constructor(
    readonly folder: string,
    private readonly options: LabOptions,
  ) {
    this.docker = new Docker({ socketPath: this.engineSocket });
  }

  get engineSocket(): string {
    return join(this.folder, "docker.sock");
  }

  static async start(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(await mkdtemp(join(tmpdir(), "clawdspace-lab-")), options);
    try {
      await lab.#makeWorld();
      await lab.#makeNode();
      await lab.startEngine();
      await lab.#loadImage();
      await lab.startDaemon();
      return lab;
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  #ns = (name: string) => `lab${this.id}-${name}`;

  /** Runs a command in the node's network and mount namespaces. */
  async onNode(command: string[]): Promise<string> {
    const { stdout } = await exec("nsenter", [...this.#inside, ...command], {
      maxBuffer: 16 * 1024 ** 2,
    });
    return stdout;
  }

  get #inside(): string[] {
    return [`--target=${this.#holder?.pid}`, "--net", "--mount"];
  }

  /** Keeps the node's namespaces, mounts and resolver over restarts of its engine. */
  async #makeNode(): Promise<void> {
    await writeFile(join(this.folder, "resolv.conf"), `nameserver ${RESOLVER}\n`);
    const script = `mount --bind ${this.folder}/resolv.conf /etc/resolv.conf; echo ready; exec sleep infinity`;
    const netns = `--net=/run/netns/${this.#ns("node")}`;
    const args = [netns, "unshare", "-m", "-u", "bash", "-c", script];
    this.#holder = await this.#spawnReady("nsenter", args);
  }

  async #makeWorld(): Promise<void> {
    const [key, cert] = [join(this.folder, "key.pem"), join(this.folder, "cert.pem")];
    const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    await exec("openssl", [...request, "-nodes", "-subj", "/CN=lab", "-keyout", key, "-out", cert]);
    const node = this.#ns("node");
    await ip("netns", "add", node);
    await ip("-n", node, "link", "set", "lo", "up");
    await this.#host("internet", NODE.internet, WORLD.internet);
    await this.#host("lan", NODE.lan, WORLD.lan);
    await this.#host("metadata", "169.254.169.1", WORLD.metadata);
    await ip("-n", node, "route", "add", "default", "via", WORLD.internet[0]);
    await ip("-n", node, "route", "add", "100.64.0.9/32", "via", WORLD.lan[0]);
    await ip("-n", node, "addr", "add", `${NODE_V6}/64`, "dev", "internet", "nodad");
    await ip(
      "-n",
      this.#ns("internet"),
      "addr",
      "add",
      `${INTERNET_V6}/64`,
      "dev",
      "eth0",
      "nodad",
    );
    const forwarding = "net.ipv6.conf.all.forwarding=1";
    await exec("ip", ["netns", "exec", node, "sysctl", "-qw", forwarding]);
    await this.#serve(node, "node", [["8022", "tcp"]]);
  }

  /** A host behind a cable of its own, with a web server and a UDP echo; the one of the local network resolves names. */
  async #host(name: string, nodeAddress: string, addresses: readonly string[]): Promise<void> {
    const [node, host] = [this.#ns("node"), this.#ns(name)];
    await ip("netns", "add", host);
    await ip("link", "add", name, "netns", node, "type", "veth", "peer", "eth0", "netns", host);
    await ip("-n", node, "addr", "add", `${nodeAddress}/24`, "dev", name);
    await ip("-n", node, "link", "set", name, "up");
    await ip("-n", host, "link", "set", "lo", "up");
    await ip("-n", host, "link", "set", "eth0", "up");
    for (const address of addresses) {
      await ip("-n", host, "addr", "add", `${address}/24`, "dev", "eth0");
    }
    await ip("-n", host, "route", "add", "default", "via", nodeAddress);
    await this.#serve(host, name, [
      ["80", "tcp"],
      ["22", "tcp"],
      ["443", "tls"],
      ["5000", "udp"],
      ...(name === "lan" ? ([["53", "dns"]] as [string, string][]) : []),
    ]);
  }

  async #serve(netns: string, name: string, ports: [string, string][]): Promise<void> {
    const args = ports.map(([port, kind]) => `${kind}:${port}`);
    await this.#spawnReady("ip", [
      "netns",
      "exec",
      netns,
      process.execPath,
      HOST_SCRIPT,
      name,
      ...args,
    ]);
  }

  async #spawnReady(command: string, args: string[]): Promise<ChildProcess> {
    const child = spawn(command, args, {
      env: { ...process.env, LAB_FOLDER: this.folder },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.push(child);
    const ended = once(child, "exit").then(() => {
      throw new Error(`${command} ${args.join(" ")} ended at once`);
    });
    await Promise.race([once(child.stdout, "data"), ended]);
    ended.catch(() => {});
    return child;
  }

  /** Starts the engine, again after `stopEngine`. */
  async startEngine(): Promise<void> {
    const { folder } = this;
    const config = {
      "data-root": join(folder, "docker"),
      "exec-root": join(folder, "exec"),
      pidfile: join(folder, "docker.pid"),
      hosts: [`unix://${this.engineSocket}`],
      "live-restore": true,
      "default-address-pools": [{ base: "10.213.0.0/16", size: 24 }],
      ...this.options.engine,
    };
    await writeFile(join(folder, "daemon.json"), JSON.stringify(config));
    const script = `exec dockerd --config-file ${folder}/daemon.json >>${folder}/dockerd.log 2>&1`;
    const engine = spawn("nsenter", [...this.#inside, "--uts", "bash", "-c", script], {
      stdio: "ignore",
    });
    this.#engine = engine;
    await until("the engine answers", async () => {
      if (engine.exitCode !== null) {
        throw new Error(`dockerd ended:\n${await readFile(join(folder, "dockerd.log"), "utf8")}`);
      }
      return await this.docker.ping().then(
        () => true,
        () => false,
      );
    });
  }

  async stopEngine(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const engine = this.#engine;
    if (!engine || engine.exitCode !== null || engine.signalCode !== null) return;
    const gone = once(engine, "exit");
    engine.kill(signal);
    await gone;
  }

  async #loadImage(): Promise<void> {
    const from = dockerHost.replace("unix://", "");
    const archive = await new Docker({ socketPath: from }).getImage(IMAGE).get();
    const loading = await this.docker.loadImage(archive, { quiet: true });
    await new Promise((done, failed) => {
      this.docker.modem.followProgress(loading, (error) => (error ? failed(error) : done(null)));
    });
  }

  /** Runs a task while the image has no iptables. */
  async withoutIptables(task: () => Promise<void>): Promise<void> {
    const [repo, tag] = IMAGE.split(":");
    const { Id, Config } = await this.docker.getImage(IMAGE).inspect();
    const remove = ["sh", "-c", "rm -f /usr/sbin/*tables*"];
    const container = await this.docker.createContainer({ Image: IMAGE, Cmd: remove, User: "0" });
    await container.start();
    await container.wait();
    await container.commit({ repo, tag, ...Config });
    await container.remove();
    try {
      await task();
    } finally {
      await this.docker.getImage(Id).tag({ repo: repo ?? "", tag: tag ?? "" });
    }
  }

  /** Starts the daemon, again after `stopDaemon`, and waits until it answers. */
  async startDaemon(): Promise<void> {
    const { folder, options } = this;
    for (const each of ["data", "config"]) await mkdir(join(folder, each), { recursive: true });
    const env = {
      PATH: process.env.PATH ?? "",
      HOME: folder,
      PORT: "7777",
      HOST: "0.0.0.0",
      API_KEY: this.key,
      DOCKER_HOST: `unix://${this.engineSocket}`,
      CLAWDSPACE_NAMESPACE: this.namespace,
      CLAWDSPACE_POOL: "0",
      CLAWDSPACE_DATA_DIR: join(folder, "data"),
      CLAWDSPACE_CONFIG_DIR: join(folder, "config"),
      CLAWDSPACE_INSECURE_BIND: "true",
      ...options.env,
    };
    const daemon = options.unprivileged
      ? await this.#unprivilegedDaemon(env)
      : spawn("nsenter", [...this.#inside, process.execPath, ENTRY], {
          env,
          stdio: ["ignore", "pipe", "pipe"],
        });
    this.#daemon = daemon;
    for (const stream of [daemon.stdout, daemon.stderr]) {
      stream?.on("data", (data: Buffer) => {
        this.daemonLog += data.toString();
      });
    }
    await this.#forward();
    await until("the daemon answers", async () => {
      if (daemon.exitCode !== null) throw new Error(`the daemon ended:\n${this.daemonLog}`);
      return await this.json("GET", "/api/health").then(
        ({ status }) => status === 200,
        () => false,
      );
    });
  }

  /** Takes the network of the spaces out of the engine, as an uninstall does. */
  async uninstallNetwork(): Promise<void> {
    const env = {
      PATH: process.env.PATH ?? "",
      HOME: this.folder,
      DOCKER_HOST: `unix://${this.engineSocket}`,
      CLAWDSPACE_NAMESPACE: this.namespace,
    };
    await exec("nsenter", [...this.#inside, process.execPath, UNINSTALL_SCRIPT], { env });
  }

  /** The same namespaces' engine, but a process that is nobody and in no namespace of it. */
  async #unprivilegedDaemon(env: Record<string, string>): Promise<ChildProcess> {
    const uid = 64_123;
    await exec("chown", ["-R", `${uid}`, join(this.folder, "data"), join(this.folder, "config")]);
    await exec("chmod", ["0755", this.folder]);
    await exec("chgrp", [`${uid}`, this.engineSocket]);
    await exec("chmod", ["0660", this.engineSocket]);
    return spawn(process.execPath, [ENTRY], {
      env,
      uid,
      gid: uid,
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async stopDaemon(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const daemon = this.#daemon;
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const gone = once(daemon, "exit");
    daemon.kill(signal);
    await gone;
  }

  /** A socket in the file system that leads to the daemon, from outside its namespace. */
  get apiSocket(): string {
    return join(this.folder, "api.sock");
  }

  /** A way into the namespace for this process: a socket in the file system that leads to the daemon's port. */
  async #forward(): Promise<void> {
    if (existsSync(this.apiSocket)) return;
    const [command, ...args] = this.options.unprivileged
      ? [process.execPath]
      : ["ip", "netns", "exec", this.#ns("node"), process.execPath];
    const port = this.options.env?.PORT ?? "7777";
    await this.#spawnReady(command ?? "", [
      ...args,
      HOST_SCRIPT,
      this.apiSocket,
      `forward:${port}`,
    ]);
  }

  /** A request with the owner's key. */
  async json(
    method: string,
    path: string,
    body?: unknown,
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, and assert what they find
  ): Promise<{ status: number; body: any }> {
    const outgoing = request({
      socketPath: this.apiSocket,
      // A kept connection might lead to a daemon that is gone.
      agent: false,
      method,
      path,
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
    });
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    const [answer] = await once(outgoing, "response");
    let text = "";
    for await (const piece of answer) text += piece;
    return { status: answer.statusCode, body: text ? JSON.parse(text) : undefined };
  }

  async template(yaml: string): Promise<void> {
    const { status, body } = await this.json("PUT", "/api/templates", { yaml });
    if (status !== 200) throw new Error(`template: ${status} ${JSON.stringify(body)}`);
  }

  /** Makes a space and fails the test where that fails. */
  async space(name: string, options: Record<string, unknown> = {}): Promise<void> {
    const { status, body } = await this.json("POST", "/api/spaces", {
      name,
      memory: "256m",
      ...options,
    });
    if (status !== 201) throw new Error(`create of ${name}: ${status} ${JSON.stringify(body)}`);
  }

  /** Runs a shell command in a space. */
  async sh(
    space: string,
    command: string,
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const { status, body } = await this.json("POST", `/api/spaces/${space}/exec`, { command });
    if (status !== 200) throw new Error(`exec in ${space}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** The address of a space's container, or, with an empty prefix, of any other. */
  async addressOf(name: string, prefix = `${this.namespace}-`): Promise<string> {
    const info = await this.docker.getContainer(`${prefix}${name}`).inspect();
    return Object.values(info.NetworkSettings.Networks)[0]?.IPAddress ?? "";
  }

  /** Ends and removes all of it. */
  async stop(): Promise<void> {
    await this.stopDaemon();
    const containers = await this.docker.listContainers({ all: true }).catch(() => []);
    await Promise.all(
      containers.map(({ Id }) => this.docker.getContainer(Id).remove({ force: true, v: true })),
    );
    if (this.#holder) await this.onNode(["sh", "-c", UNMOUNT, "sh", this.folder]).catch(() => {});
    await this.stopEngine();
    for (const child of this.#children) child.kill("SIGKILL");
    for (const name of ["node", "internet", "lan", "metadata"]) {
      await ip("netns", "del", this.#ns(name)).catch(() => {});
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Lets go of disks of spaces that a failed test left mounted. */
const UNMOUNT = `grep -o " $1/data/[^ ]*" /proc/self/mounts | while read -r at; do umount "$at"; done`;

const ip = async (...args: string[]) => {
  await exec("ip", args);
};

export async function until(
  what: string,
  holds: () => Promise<boolean>,
  ms = READY_MS,
): Promise<void> {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    if (await holds()) return;
    await delay(50);
  }
  throw new Error(`waited ${ms} ms until ${what}`);
}
