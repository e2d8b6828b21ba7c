import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type {
  ContainerSpec,
  ContainerStats,
  Engine,
  EngineExecSpec,
  EngineInfo,
  ImageSummary,
  Limits,
  NetworkSpec,
  NetworkSummary,
  PullProgress,
  VolumeSummary,
} from "./engine.js";
import { EngineError } from "./engine.js";
import { fakeRead, fakeStat, fakeWrite } from "./fake-archive.js";
import { FakeContainer, type FakeImage } from "./fake-container.js";
import { carries, FakeEvents } from "./fake-events.js";
import { checkReference } from "./image-reference.js";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const MIN_MEMORY_BYTES = 6 * 1024 ** 2;

const BUILT_IN_NETWORKS = new Set(["none", "host", "bridge"]);
/** What a node says of its rules whose network is as the daemon wants it. */
const NODE_RULES = `@@tool iptables
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:DOCKER-USER - [0:0]
COMMIT
@@bridged 2
@@netfilter 1
@@bridge 1
`;

interface FakeVolume extends VolumeSummary {
  /** Where its files are, if not in a folder of its own. */
  folder: string | undefined;
}

/**
 * An engine for tests, without Docker: containers are folders below a temporary one, commands are processes of this
 * machine that run there. It answers as Docker does where the engine contract says how. `dispose` ends and removes all.
 */
export class FakeEngine implements Engine {
  readonly images = new Map<string, FakeImage>();
  /** Images that a pull finds. */
  readonly registry = new Map<string, FakeImage>();
  node = { cpus: 4, memoryBytes: 8 * 1024 ** 3 };
  /** Called before each call with its name; what it throws is what the call throws, what it awaits delays it. */
  before: (call: keyof Engine) => void | Promise<void> = () => {};
  readonly #containers = new Map<string, FakeContainer>();
  readonly #volumes = new Map<string, FakeVolume>();
  readonly #networks = new Map<string, NetworkSummary>();
  readonly #events = new FakeEvents();
  #cut = new AbortController();
  #away = false;

  private constructor(private readonly folder: string) {}

  /** An engine with one image, "clawdspace:latest", that needs nothing done to it. */
  static async create(): Promise<FakeEngine> {
    const engine = new FakeEngine(await mkdtemp(join(tmpdir(), "clawdspace-fake-engine-")));
    engine.addImage("clawdspace:latest", { labels: { "clawdspace.sandbox": "1" } });
    return engine;
  }

  addImage(ref: string, image: Partial<FakeImage> = {}): void {
    this.images.set(ref, fakeImage(image));
  }

  /** Makes the engine unreachable, or reachable again; what is connected breaks off. */
  set away(away: boolean) {
    this.#away = away;
    if (away) this.#cut.abort();
    else this.#cut = new AbortController();
  }

  async dispose(): Promise<void> {
    this.#cut.abort();
    await Promise.all([...this.#containers.values()].map((container) => container.kill()));
    await rm(this.folder, { recursive: true, force: true });
  }

  async ping(): Promise<void> {
    await this.#enter("ping");
  }

  async info(): Promise<EngineInfo> {
    await this.#enter("info");
    const all = [...this.#containers.values()];
    const inState = (state: string) => all.filter((each) => each.state === state).length;
    return {
      version: "0.0.0-fake",
      hostname: "fake",
      ...this.node,
      arch: "amd64",
      platform: "linux",
      containers: all.length,
      containersRunning: inState("running"),
      containersPaused: inState("paused"),
      images: this.images.size,
      runtimes: ["runc"],
      missingLimits: [],
      seccomp: true,
    };
  }

  async listContainers(labels: Record<string, string>) {
    await this.#enter("listContainers");
    return [...this.#containers.values()]
      .filter((container) => carries(container.labels, labels))
      .map((container) => container.details());
  }

  async inspectContainer(ref: string) {
    await this.#enter("inspectContainer");
    return this.#find(ref).details();
  }

  async containerState(id: string) {
    await this.#enter("containerState");
    return this.#containers.get(id)?.state;
  }

  async createContainer(spec: ContainerSpec) {
    await this.#enter("createContainer");
    const image = this.images.get(spec.image);
    if (!image) throw new EngineError("not_found", `No such image: ${spec.image}`);
    this.#checkName(spec.name);
    if (spec.memoryBytes < MIN_MEMORY_BYTES)
      throw new EngineError("invalid", "Minimum memory limit allowed is 6MB");
    if (spec.cpus < 0.01 || spec.cpus > this.node.cpus)
      throw new EngineError("invalid", `Range of CPUs is from 0.01 to ${this.node.cpus}`);
    const root = join(this.folder, randomBytes(8).toString("hex"));
    const mounts = new Map([["/", root]]);
    for (const { source, target, labels } of spec.volumes) {
      const { folder, mountpoint } = await this.#makeVolume(source, labels);
      mounts.set(target, folder ?? mountpoint);
    }
    // Nothing of a fake may reach this machine's own network, whatever it was told to do there.
    const played =
      spec.network === "host" ? { ...spec, command: ["printf", "%s", NODE_RULES] } : spec;
    const container = new FakeContainer(played, image, mounts, (ended) => this.#tell("die", ended));
    this.#checkName(spec.name);
    this.#containers.set(container.id, container);
    await container.furnish();
    this.#tell("create", container);
    return container.id;
  }

  async startContainer(id: string) {
    await this.#enter("startContainer");
    const container = this.#find(id);
    if (container.state === "running") return;
    const { network } = container.spec;
    if (!BUILT_IN_NETWORKS.has(network) && !this.#networks.has(network))
      throw new EngineError("not_found", `network ${network} not found`);
    await container.start();
    this.#tell("start", container);
  }

  async stopContainer(id: string, graceSeconds: number) {
    await this.#enter("stopContainer");
    const container = this.#find(id);
    if (container.state !== "running" && container.state !== "paused") return;
    await container.stop(graceSeconds);
    this.#tell("stop", container);
  }

  async pauseContainer(id: string) {
    await this.#enter("pauseContainer");
    const container = this.#find(id);
    container.pause();
    this.#tell("pause", container);
  }

  async unpauseContainer(id: string) {
    await this.#enter("unpauseContainer");
    const container = this.#find(id);
    container.unpause();
    this.#tell("unpause", container);
  }

  async removeContainer(id: string) {
    await this.#enter("removeContainer");
    const container = this.#containers.get(id);
    if (!container) return;
    await container.kill();
    if (!this.#containers.delete(id)) return;
    await container.clear();
    this.#tell("destroy", container);
  }

  async renameContainer(id: string, name: string) {
    await this.#enter("renameContainer");
    const container = this.#find(id);
    this.#checkName(name);
    container.name = name;
    this.#tell("rename", container);
  }

  async updateLimits(id: string, limits: Limits) {
    await this.#enter("updateLimits");
    Object.assign(this.#find(id).spec, limits);
  }

  async listVolumes(labels: Record<string, string>) {
    await this.#enter("listVolumes");
    return [...this.#volumes.values()].filter((volume) => carries(volume.labels, labels));
  }

  async findVolume(name: string) {
    await this.#enter("findVolume");
    return this.#volumes.get(name);
  }

  async createVolume(name: string, labels: Record<string, string>, folder?: string) {
    await this.#enter("createVolume");
    return await this.#makeVolume(name, labels, folder);
  }

  async removeVolume(name: string) {
    await this.#enter("removeVolume");
    const user = [...this.#containers.values()].find(({ spec }) =>
      spec.volumes.some(({ source }) => source === name),
    );
    if (user) throw new EngineError("conflict", `remove ${name}: volume is in use - [${user.id}]`);
    this.#volumes.delete(name);
    await rm(this.#volumeFolder(name), { recursive: true, force: true });
  }

  async findNetwork(name: string) {
    await this.#enter("findNetwork");
    return this.#networks.get(name);
  }

  async createNetwork({ name, bridge, subnet, gateway, labels }: NetworkSpec) {
    await this.#enter("createNetwork");
    if (this.#networks.has(name))
      throw new EngineError("conflict", `network with name ${name} already exists`);
    const free = `172.30.${this.#networks.size}`;
    this.#networks.set(name, {
      name,
      bridge,
      subnet: subnet ?? `${free}.0/24`,
      gateway: gateway ?? `${free}.1`,
      labels,
    });
  }

  async removeNetwork(name: string) {
    await this.#enter("removeNetwork");
    const user = [...this.#containers.values()].find(
      ({ spec, state }) => spec.network === name && (state === "running" || state === "paused"),
    );
    if (user) throw new EngineError("conflict", `network ${name} has active endpoints`);
    this.#networks.delete(name);
  }

  async reconnect(containerId: string, network: string) {
    await this.#enter("reconnect");
    this.#find(containerId);
    if (!this.#networks.has(network))
      throw new EngineError("not_found", `network ${network} not found`);
  }

  async findImage(ref: string): Promise<ImageSummary | undefined> {
    await this.#enter("findImage");
    checkReference(ref);
    const image = this.images.get(ref) ?? this.images.get(`${ref}:latest`);
    return image && { id: image.id, arch: image.arch, labels: image.labels };
  }

  async pullImage(ref: string, onProgress: (progress: PullProgress) => void, signal?: AbortSignal) {
    await this.#enter("pullImage");
    checkReference(ref);
    signal?.throwIfAborted();
    const image = this.registry.get(ref);
    if (!image) throw new EngineError("not_found", `manifest for ${ref} not found`);
    onProgress({ message: "0123456789ab: Downloading", current: 1, total: 2 });
    onProgress({ message: `Status: Downloaded newer image for ${ref}` });
    this.images.set(ref, image);
  }

  async exec(id: string, spec: EngineExecSpec) {
    await this.#enter("exec");
    return await this.#find(id).exec(spec);
  }

  async attach(id: string, signal?: AbortSignal) {
    await this.#enter("attach");
    signal?.throwIfAborted();
    const streams = this.#find(id).attach();
    this.#cut.signal.addEventListener("abort", streams.close, { once: true });
    return streams;
  }

  async statPath(id: string, path: string) {
    await this.#enter("statPath");
    const container = this.#containers.get(id);
    return container && (await fakeStat(container.tree, path));
  }

  async readArchive(id: string, path: string) {
    await this.#enter("readArchive");
    const archive = await fakeRead(this.#find(id).tree, path);
    if (!archive) throw new EngineError("not_found", `Could not find the file ${path}`);
    return archive;
  }

  async writeArchive(id: string, folder: string, tar: Readable | Buffer) {
    await this.#enter("writeArchive");
    const container = this.#find(id);
    const { inside } = await container.tree.resolve(folder, true);
    const found = await fakeStat(container.tree, inside);
    if (!found) throw new EngineError("not_found", `Could not find the file ${folder}`);
    if (found.type !== "dir")
      throw new EngineError("failed", "extraction point is not a directory");
    if (!container.canWrite(inside))
      throw new EngineError("failed", "container rootfs is marked read-only");
    try {
      await fakeWrite(container.tree, inside, tar);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new EngineError("failed", `Error processing tar file: ${why}`, { cause });
    }
  }

  async stats(id: string): Promise<ContainerStats> {
    await this.#enter("stats");
    const { pids, state, startedAt, spec } = this.#find(id);
    const live = state === "running" || state === "paused";
    return {
      cpuNanos: live && startedAt ? (Date.now() - startedAt.getTime()) * 1e4 : 0,
      readAt: new Date(),
      memoryUsageBytes: pids * 1024 ** 2,
      memoryLimitBytes: live ? spec.memoryBytes : 0,
      pids,
      networkRxBytes: 0,
      networkTxBytes: 0,
      blockReadBytes: 0,
      blockWriteBytes: 0,
    };
  }

  async *events(labels: Record<string, string>, since: Date, signal: AbortSignal) {
    await this.#enter("events");
    yield* this.#events.follow(labels, since, AbortSignal.any([signal, this.#cut.signal]));
  }

  async #enter(call: keyof Engine): Promise<void> {
    await this.before(call);
    if (this.#away)
      throw new EngineError("unavailable", "The container engine can't be reached (ECONNREFUSED).");
  }

  #find(ref: string): FakeContainer {
    const container =
      this.#containers.get(ref) ?? [...this.#containers.values()].find(({ name }) => name === ref);
    if (!container) throw new EngineError("not_found", `No such container: ${ref}`);
    return container;
  }

  #checkName(name: string): void {
    if (!NAME.test(name)) throw new EngineError("invalid", `Invalid container name (${name})`);
    if ([...this.#containers.values()].some((each) => each.name === name))
      throw new EngineError("conflict", `The container name "/${name}" is already in use`);
  }

  #volumeFolder = (name: string) => join(this.folder, "volumes", name);

  async #makeVolume(
    name: string,
    labels: Record<string, string>,
    folder?: string,
  ): Promise<FakeVolume> {
    if (!NAME.test(name)) throw new EngineError("invalid", `invalid volume name: ${name}`);
    const existing = this.#volumes.get(name);
    if (existing) return existing;
    const mountpoint = this.#volumeFolder(name);
    const volume = { name, labels, mountpoint, createdAt: new Date(), folder };
    this.#volumes.set(name, volume);
    await mkdir(mountpoint, { recursive: true });
    return volume;
  }

  #tell(action: string, { id, labels, name, image }: FakeContainer): void {
    const facts = { ...labels, name, image: image.id };
    this.#events.tell({ action, containerId: id, labels: facts, time: new Date() });
  }
}

const fakeImage = (image: Partial<FakeImage>): FakeImage => ({
  id: `sha256:${randomBytes(32).toString("hex")}`,
  arch: "amd64",
  labels: {},
  env: {},
  files: { "/workspace/": "", "/etc/hostname": "fake\n" },
  ...image,
});
