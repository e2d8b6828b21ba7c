import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { DockerEngine } from "../../packages/api/src/engine/docker-engine.js";
import { uninstallNetwork } from "../../packages/api/src/network/uninstall.js";

const ENTRY = resolve(import.meta.dirname, "../../packages/api/dist/index.js");
const READY_MS = 20_000;

/** Says where the engine is that tests use. */
export const dockerHost = process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";

/** The engine's raw client, for looking behind the daemon's back. */
export const docker = new Docker(
  dockerHost.startsWith("unix://") ? { socketPath: dockerHost.slice("unix://".length) } : {},
);

/** A real daemon in a process of its own, with a namespace and folders that nobody else uses. */
export class Daemon {
  #child: ChildProcess | undefined;
  #log = "";

  private constructor(
    readonly url: string,
    readonly key: string,
    readonly namespace: string,
    readonly folder: string,
    private readonly env: Record<string, string>,
  ) {}

  /** Starts a daemon that answers when this resolves. `env` wins over what tests usually set. */
  static async start(env: Record<string, string> = {}): Promise<Daemon> {
    const id = randomBytes(4).toString("hex");
    const port = env.PORT ?? `${await freePort()}`;
    const folder = await mkdtemp(join(tmpdir(), "clawdspace-test-"));
    const daemon = new Daemon(
      `http://127.0.0.1:${port}`,
      env.API_KEY ?? `test-key-${id}`,
      `cs-test-${id}`,
      folder,
      {
        PORT: port,
        API_KEY: `test-key-${id}`,
        CLAWDSPACE_NAMESPACE: `cs-test-${id}`,
        CLAWDSPACE_DATA_DIR: join(folder, "data"),
        CLAWDSPACE_CONFIG_DIR: join(folder, "config"),
        LOG_LEVEL: "info",
        // Who looks at what is in the engine counts on finding nothing that waits.
        CLAWDSPACE_POOL: "0",
        ...env,
      },
    );
    await daemon.run();
    return daemon;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error("the daemon does not run");
    return this.#child.pid;
  }

  /** Everything that the daemon has printed. */
  get log(): string {
    return this.#log;
  }

  /** Starts the daemon's process, again after `kill`, and waits until it answers. */
  async run(): Promise<void> {
    const child = spawn(process.execPath, [ENTRY], {
      env: { ...process.env, DOCKER_HOST: dockerHost, ...this.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data: Buffer) => {
        this.#log += data.toString();
      });
    }
    const until = Date.now() + READY_MS;
    while (Date.now() < until) {
      if (child.exitCode !== null) throw new Error(`the daemon ended at once:\n${this.#log}`);
      const answer = await fetch(`${this.url}/api/health`).catch(() => undefined);
      if (answer?.ok) return;
      await delay(25);
    }
    throw new Error(`the daemon did not answer in ${READY_MS} ms:\n${this.#log}`);
  }

  /** Ends the process and waits until it is gone. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }

  async restart(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.kill(signal);
    await this.run();
  }

  /** Ends the daemon and removes all that it made in the engine and on disk. */
  async stop(): Promise<void> {
    await this.kill("SIGTERM");
    await removeNamespace(this.namespace);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A request with the key; a body that is no string or bytes is sent as JSON. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    init: RequestInit = {},
  ): Promise<Response> {
    const raw = typeof body === "string" || body instanceof Uint8Array;
    return await fetch(`${this.url}${path}`, {
      method,
      ...init,
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(body === undefined || raw ? {} : { "content-type": "application/json" }),
        ...(init.headers as Record<string, string> | undefined),
      },
      ...(body === undefined
        ? {}
        : { body: raw ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
    });
  }

  /** As `request`, answered as status and parsed JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, and assert what they find
  async json(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
    const answer = await this.request(method, path, body);
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : undefined };
  }

  /** Makes a space and fails the test where that fails. */
  async space(name: string, options: Record<string, unknown> = {}): Promise<string> {
    const { status, body } = await this.json("POST", "/api/spaces", {
      name,
      memory: "256m",
      ...options,
    });
    if (status !== 201) throw new Error(`create of ${name}: ${status} ${JSON.stringify(body)}`);
    return name;
  }
}

export const startDaemon = Daemon.start;

/** Removes the containers, the volumes, and the network with its rules, of one namespace. */
export async function removeNamespace(namespace: string): Promise<void> {
  const filters = { label: [`clawdspace.namespace=${namespace}`] };
  const containers = await docker.listContainers({ all: true, filters });
  await Promise.all(
    containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })),
  );
  const { Volumes } = await docker.listVolumes({ filters: JSON.stringify(filters) });
  await Promise.all((Volumes ?? []).map(({ Name }) => docker.getVolume(Name).remove()));
  await uninstallNetwork(new DockerEngine(dockerHost), namespace, "clawdspace:latest");
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
