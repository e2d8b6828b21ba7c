import { freemem, hostname } from "node:os";
import { join } from "node:path";
import type { FastifyBaseLogger } from "fastify";
import { HistoryIngest } from "./audit/history-ingest.js";
import { Recorder } from "./audit/recorder.js";
import type { Config } from "./config.js";
import type { Engine } from "./engine/engine.js";
import { EventBus } from "./events/event-bus.js";
import { publishRecorded } from "./events/from-audit.js";
import { publishChanges } from "./events/from-registry.js";
import { Webhooks } from "./events/webhooks.js";
import { FileAccess } from "./files/file-access.js";
import { FileService } from "./files/file-service.js";
import { FolderTransfers } from "./files/folder-transfers.js";
import { mustLieInside } from "./files/must-lie-inside.js";
import { SearchService } from "./files/search-service.js";
import { emptySpool } from "./files/spool.js";
import { Transfers } from "./files/transfers.js";
import { WatchService } from "./files/watch-service.js";
import { WorkspacePath } from "./files/workspace-path.js";
import { GitRunner } from "./git/git-runner.js";
import { GitService } from "./git/git-service.js";
import { cardMakers } from "./gpu/cards.js";
import { detectGpus } from "./gpu/detect.js";
import { GpuLeases } from "./gpu/gpu-leases.js";
import { KeyStore } from "./keys/key-store.js";
import { Sessions } from "./keys/sessions.js";
import { measureExecs } from "./metrics/exec-metrics.js";
import { meteredEngine } from "./metrics/metered-engine.js";
import { Metrics } from "./metrics/metrics.js";
import { SpaceHistory } from "./metrics/space-history.js";
import { NetworkService } from "./network/network-service.js";
import { discover } from "./nodes/discovery.js";
import { DrainStore } from "./nodes/drain-store.js";
import { Fleet } from "./nodes/fleet.js";
import { Arrivals } from "./nodes/moves/arrivals.js";
import { Arrived } from "./nodes/moves/arrived.js";
import { Departures } from "./nodes/moves/departures.js";
import { Leaving } from "./nodes/moves/leaving.js";
import { MoveJournal } from "./nodes/moves/move-journal.js";
import { Settling } from "./nodes/moves/settling.js";
import { NodeForwarder } from "./nodes/node-forwarder.js";
import { ownStatus } from "./nodes/own-status.js";
import { PeerSessions } from "./nodes/peer-sessions.js";
import { Placing } from "./nodes/placing.js";
import { peerSecret } from "./nodes/proof.js";
import { Reservations } from "./nodes/reservations.js";
import { Whereabouts } from "./nodes/whereabouts.js";
import { ClaimStore } from "./pool/claim-store.js";
import { Hostnames } from "./pool/hostname.js";
import { restoreNames } from "./pool/restore-names.js";
import { WarmPool } from "./pool/warm-pool.js";
import { PortService } from "./ports/port-service.js";
import { PreviewTokens } from "./ports/preview-token.js";
import { Previews } from "./ports/previews.js";
import { CommandRunner } from "./processes/command-runner.js";
import { ExecService } from "./processes/exec-service.js";
import { ProcessHosts } from "./processes/process-hosts.js";
import { ProcessKeeper } from "./processes/process-keeper.js";
import { ProcessService } from "./processes/process-service.js";
import { ActivityStore } from "./spaces/activity-store.js";
import { AutoSleep } from "./spaces/auto-sleep.js";
import { Blueprints } from "./spaces/blueprint.js";
import { DiskStore } from "./spaces/disk-store.js";
import { EnvStore } from "./spaces/env-store.js";
import { furnishWith } from "./spaces/furnish.js";
import { Guests } from "./spaces/guests.js";
import { ImagePreparer } from "./spaces/image-preparer.js";
import { Isolation } from "./spaces/isolation.js";
import { Leftovers } from "./spaces/leftovers.js";
import { Names } from "./spaces/names.js";
import { SpaceRegistry } from "./spaces/registry.js";
import type { SpaceEntry } from "./spaces/space-entry.js";
import { SpaceMaker } from "./spaces/space-maker.js";
import { SpaceService } from "./spaces/space-service.js";
import { resolveSpec } from "./spaces/space-spec.js";
import { SpecReader } from "./spaces/spec-reader.js";
import { UnfinishedStore } from "./spaces/unfinished-store.js";
import { examine } from "./system/doctor.js";
import { EngineHealth } from "./system/engine-health.js";
import { Sampler } from "./system/sampler.js";
import { StatsService } from "./system/stats-service.js";
import { diskOf, SystemService } from "./system/system-service.js";
import { TemplateStore } from "./templates/template-store.js";
import { TerminalService } from "./terminals/terminal-service.js";

/** How often what is known is compared with the engine, and leftovers are removed. */
const TIDY_MS = 60_000;
/** How long an engine may take to finish what was asked before. */
const SETTLE_MS = 5_000;

/** What nobody aborts. */
const never = new AbortController().signal;

/** What the routes hand requests over to. */
export interface Services {
  keys: KeyStore;
  sessions: Sessions;
  spaces: SpaceService;
  pool: WarmPool;
  templates: TemplateStore;
  network: NetworkService;
  guests: Guests;
  hosts: ProcessHosts;
  exec: ExecService;
  processes: ProcessService;
  terminals: TerminalService;
  files: FileService;
  transfers: Transfers;
  folders: FolderTransfers;
  searches: SearchService;
  watches: WatchService;
  git: GitService;
  ports: PortService;
  previews: Previews;
  stats: StatsService;
  system: SystemService;
  engineHealth: EngineHealth;
  recorder: Recorder;
  events: EventBus;
  metrics: Metrics;
  history: SpaceHistory;
  fleet: Fleet;
  peers: PeerSessions;
  whereabouts: Whereabouts;
  forwarder: NodeForwarder;
  placing: Placing;
  reservations: Reservations;
  drain: DrainStore;
  arrivals: Arrivals;
  departures: Departures;
  settling: Settling;
  /** What this node tells the others of itself. */
  nodeStatus: () => ReturnType<typeof ownStatus>;
  /** Looks for what is wrong with this node. */
  doctor: () => ReturnType<typeof examine>;
  /** The environment that a space was created with; empty where there is no such space. */
  envOf(space: string): Promise<Record<string, string>>;
  /** Begins the work in the background: following the engine, sweeping, putting idle spaces to sleep. */
  start(): Promise<void>;
  /** Ends it; spaces and what runs in them go on. */
  stop(): Promise<void>;
}

/** Wires the services of one daemon together. Nothing runs before `start`. */
export function createServices(
  config: Config,
  rawEngine: Engine,
  log: FastifyBaseLogger,
  ownerKey: string,
): Services {
  const metrics = new Metrics();
  const engine = meteredEngine(rawEngine, metrics);
  const keys = new KeyStore(join(config.configDir, "keys.json"), ownerKey);
  const sessions = new Sessions(join(config.dataDir, "session-secret"), ownerKey);
  const names = new Names(config.namespace);
  const templates = new TemplateStore(config.templatesDir);
  const envs = new EnvStore(join(config.dataDir, "env"));
  const guests = new Guests(engine);
  const hosts = new ProcessHosts(engine, guests, envs);
  const activity = new ActivityStore(join(config.dataDir, "activity.json"));
  const claims = new ClaimStore(engine, names, join(config.dataDir, "claims"));
  const specs = new SpecReader(names, claims);
  const registry = new SpaceRegistry(engine, names, specs, activity, log);
  const images = new ImagePreparer(engine, names, config);
  const disks = new DiskStore(engine, join(config.dataDir, "disks"), log);
  const network = new NetworkService({
    engine,
    names,
    log,
    helperImage: config.image,
    subnet: config.subnet,
    specs,
  });
  const system = new SystemService(engine, config.dataDir);
  const engineHealth = new EngineHealth(engine);
  const spoolIn = join(config.dataDir, "uploads");
  const commands = new CommandRunner(hosts);
  const git = new GitService(new GitRunner(commands), async (entry, path) =>
    mustLieInside(await access.of(entry), WorkspacePath.fromBytes(Buffer.from(path), "repoPath")),
  );
  const writeFile = async (entry: SpaceEntry, path: string, data: Buffer) => {
    const { bytes } = WorkspacePath.fromBytes(Buffer.from(path));
    await (await access.of(entry)).writeAll(bytes, data, { mode: 0o600 });
  };
  const reservations = new Reservations(freemem);
  const gpus = new GpuLeases({
    detect: detectGpus,
    known: () => registry.known(),
    elsewhere: () => fleet.withGpus(),
  });
  const blueprints = new Blueprints(engine, images, new Isolation(engine, config.configDir));
  const unfinished = new UnfinishedStore(join(config.dataDir, "unfinished"));
  const leftovers = new Leftovers({ engine, names, disks, unfinished, log });
  const defaults = { image: config.image, gpuImage: config.gpuImage };
  const hostnames = new Hostnames();
  const building = {
    ...{ engine, names, network, disks, images, leftovers, guests, claims, hostnames, log },
  };
  const pool = new WarmPool({
    ...building,
    limit: config.guest ? config.pool : 0,
    draw: (wanted) => blueprints.draw(wanted, false, { signal: never, onProgress() {} }),
    home: async () => resolveSpec({ name: "home" }, await templates.fallback(), defaults),
  });
  const maker = new SpaceMaker(
    {
      ...building,
      registry,
      blueprints,
      pool,
      defaults,
    },
    furnishWith({ envs, hosts, git, commands, writeFile }),
  );
  const leaving = new Leaving();
  const arrived = new Arrived(join(config.dataDir, "arrived"));
  const spaces = new SpaceService({
    ...building,
    registry,
    leaving,
    reservations,
    gpus,
    templates,
    maker,
    idleTimeoutMs: config.idleTimeoutMs,
    async beforeRemove(entry) {
      await shells.last(entry);
      const { move } = entry.spec;
      // Worse than a removal that is told to nobody is one that a full disk forbids.
      const warn = (error: unknown) => log.warn({ err: error }, "could not note a removal");
      if (move) await arrived.note(move).catch(warn);
    },
  });
  const recorder = new Recorder({
    path: config.auditPath,
    rotateBytes: config.auditRotateBytes,
    retention: config.auditKeep,
    log,
  });
  const events = new EventBus();
  recorder.listen(publishRecorded(events));
  registry.onChange(publishChanges(events));
  const access = new FileAccess(engine, guests, spaces, spoolIn);
  metrics.watch(registry);
  metrics.watchPool(pool);
  recorder.listen(measureExecs(metrics));
  const webhooks = new Webhooks(events, config.webhooks, log);
  const sampler = new Sampler(engine);
  const history = new SpaceHistory(registry, sampler, config.metricsIntervalMs);
  const shells = new HistoryIngest(
    { engine, guests, registry, recorder, log, statePath: join(config.dataDir, "history.json") },
    config.historyIngestMs,
  );
  const stats = new StatsService({ engine, spaces, guests, sampler });
  const sleep = new AutoSleep({ spaces, registry, activity, recorder, log }, config);
  const keeper = new ProcessKeeper(hosts, log);
  const processes = new ProcessService(spaces, hosts, keeper);
  registry.onAdded((entry) => keeper.found(entry));
  network.onRestored((lost) => {
    recorder.note({ type: "network.restored", actor: "system", meta: { lost } });
  });
  network.onDenied(({ from, ...denied }) => {
    const space = registry.byAddress(from)?.name;
    const meta = space === undefined ? { ...denied, from } : denied;
    recorder.note({ type: "egress.deny", space, actor: "system", meta });
  });
  registry.onStopped((entry) => {
    guests.close(entry);
    hosts.forget(entry);
    keeper.drop(entry);
  });
  registry.onGone((entry) => {
    guests.close(entry);
    hosts.forget(entry);
    keeper.drop(entry);
    sampler.forget(entry);
    history.forget(entry);
    sleep.forget(entry);
    network.release(entry.spec.address);
    Promise.all([envs.remove(entry), claims.remove(entry.id)]).catch((error: unknown) =>
      log.warn({ err: error }, "could not remove a file"),
    );
  });
  const drain = new DrainStore(join(config.dataDir, "drained"));
  const nodeStatus = () =>
    ownStatus({
      engine,
      system,
      registry,
      images: [...new Set([config.image, config.gpuImage])],
      labels: config.fleet.labels,
      isDrained: () => drain.drained,
      reservedBytes: () => reservations.bytes,
      gpus: () => gpus.list(),
    });
  let secret: Promise<Buffer> | undefined;
  const fleetSecret = () => {
    secret ??= peerSecret(ownerKey);
    return secret;
  };
  const peers = new PeerSessions(fleetSecret, () => fleet.name);
  const fleet: Fleet = new Fleet({
    refreshMs: config.fleet.refreshMs,
    discover: () => discover(config.fleet),
    name: config.fleet.name ?? hostname(),
    url: `http://127.0.0.1:${config.port}`,
    proxy: config.fleet.proxy,
    secret: fleetSecret,
    instance: peers.instance,
    status: nodeStatus,
    onChange({ node, online, reason }) {
      log.info({ node, reason }, online ? "a node is online" : "a node is gone");
      const type = online ? "node.online" : "node.offline";
      events.publish({ type, actor: "system", data: { node, ...(reason ? { reason } : {}) } });
    },
    log,
  });
  const doctor = () =>
    examine({
      nodeVersion: process.versions.node,
      authDisabled: config.authDisabled,
      engine: () => engine.info(),
      image: config.image,
      findImage: () => engine.findImage(config.image),
      network: {
        inUse: registry.known().some(({ state, spec }) => state === "running" && spec.address),
        enforcement: () => network.enforcement(),
        problem: network.problem,
      },
      nodes: fleet.list(),
      nodesNamed: config.fleet.nodes.length > 0,
      gpus: () => gpus.list(),
      cards: cardMakers,
      disk: () => diskOf(config.dataDir),
    });
  const forwarder = new NodeForwarder(fleet);
  const arrivals = new Arrivals({
    ...{
      engine,
      names,
      registry,
      spaces,
      maker,
      blueprints,
      images,
      reservations,
      gpus,
      envs,
      hosts,
      arrived,
    },
    isDrained: () => drain.drained,
  });
  const journal = new MoveJournal(join(config.dataDir, "moves"));
  const settling = new Settling({ fleet, spaces, leaving, journal, recorder, log });
  const departures = new Departures({
    ...{ engine, fleet, forwarder, spaces, envs, leaving, journal, settling },
    sizeOf: async (space) => (await stats.observability(space)).workspaceSizeBytes,
  });
  registry.onOther((event) => pool.observe(event));
  const tidy = async () => {
    // Of files and volumes those are swept that no container has which is listed after them.
    const sweepers = await Promise.all([envs.sweeper(), claims.sweeper()]);
    const volumes = await engine.listVolumes(names.ours);
    const containers = await registry.refreshAnew();
    await leftovers.sweep(containers);
    await pool.tidy({ volumes, containers });
    await restoreNames(volumes, names, registry, claims);
    const live = new Set(containers.map(({ id }) => id));
    for (const sweep of sweepers) await sweep(live);
  };
  let tidying: NodeJS.Timeout | undefined;
  return {
    keys,
    sessions,
    spaces,
    pool,
    templates,
    network,
    guests,
    hosts,
    exec: new ExecService(spaces, commands),
    processes,
    terminals: new TerminalService(spaces, hosts, processes),
    files: new FileService(access),
    transfers: new Transfers(access),
    folders: new FolderTransfers(access, spoolIn),
    searches: new SearchService(access, commands),
    watches: new WatchService(spaces, guests),
    git,
    ports: new PortService(spaces, guests),
    previews: new Previews(
      spaces,
      new PreviewTokens(join(config.dataDir, "preview-secret")),
      config.previewDomain,
    ),
    stats,
    system,
    engineHealth,
    recorder,
    events,
    metrics,
    history,
    fleet,
    peers,
    whereabouts: new Whereabouts(fleet, registry),
    forwarder,
    placing: new Placing(fleet, templates, { image: config.image, gpuImage: config.gpuImage }),
    reservations,
    drain,
    arrivals,
    departures,
    settling,
    nodeStatus,
    doctor,
    async envOf(space) {
      const entry = registry.peek(space);
      return entry ? await envs.of(entry) : {};
    },
    async start() {
      await recorder.open();
      await emptySpool(spoolIn);
      await shells.start();
      webhooks.start();
      history.start();
      await keys.load();
      await templates.prepare();
      await activity.load();
      await disks.start();
      // The rules are looked at before anything is served; an engine that does not answer holds up nobody.
      const looked = network.start();
      if (await engineHealth.answers()) await Promise.all([looked, leftovers.settle()]);
      registry.onConnected(async () => {
        await network.check();
        await tidy();
        // What an earlier daemon had asked for when it was killed, the engine may finish only now.
        setTimeout(() => void tidy().catch(() => {}), SETTLE_MS).unref();
      });
      // Before anything can wake a space whose move was cut off.
      await settling.start();
      await arrived.sweep();
      registry.follow();
      sleep.start();
      keeper.start();
      await drain.load();
      fleet.start();
      tidying = setInterval(() => {
        tidy().catch((error: unknown) =>
          log.warn({ err: error }, "could not compare with the engine"),
        );
      }, TIDY_MS).unref();
    },
    async stop() {
      clearInterval(tidying);
      await pool.stop();
      network.stop();
      settling.stop();
      await fleet.stop();
      await sleep.stop();
      keeper.stop();
      registry.close();
      guests.closeAll();
      await keys.close();
      history.stop();
      webhooks.stop();
      await shells.stop();
      await recorder.close();
    },
  };
}
