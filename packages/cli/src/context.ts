import type { Clawdspace, NodeList, SpaceHandle } from "@clawdspace/client";
import { CliError } from "./failure.js";
import type { Output } from "./output.js";
import type { Server, Servers } from "./servers.js";
import type { CommandSpec } from "./spec.js";

export interface Found {
  server: Server;
  clawdspace: Clawdspace;
  space: SpaceHandle;
}

/** What a command gets: where to print, and the servers to ask. */
export class Context {
  /** Aborted by Ctrl-C and by a request to end. */
  readonly signal: AbortSignal;
  readonly #clients = new Map<string, Clawdspace>();

  constructor(
    readonly out: Output,
    readonly servers: () => Servers,
    readonly environment: NodeJS.ProcessEnv,
    /** Whether a server was named, so that no other is to be asked. */
    readonly pinned: string | undefined,
    /** The key that was piped in. */
    readonly pipedKey: string | undefined,
    /** Every command there is. */
    readonly commands: CommandSpec[],
    interrupted: AbortController,
  ) {
    this.signal = interrupted.signal;
  }

  /** The chosen server. */
  async server(): Promise<Server> {
    const { pinned } = this;
    const servers = this.servers();
    if (pinned === undefined || servers.named(pinned)) return servers.chosen();
    const node = (await this.#others(servers.configured())).find(({ name }) => name === pinned);
    return node ?? servers.chosen();
  }

  /** A client of the chosen server. */
  async clawdspace(): Promise<Clawdspace> {
    return await this.client(await this.server());
  }

  /** Loaded when it is needed: `list` and such start without it. */
  async client(server: Server): Promise<Clawdspace> {
    const known = this.#clients.get(server.url);
    if (known) return known;
    const { Clawdspace } = await import("@clawdspace/client");
    const made = new Clawdspace({ baseUrl: server.url, key: server.key });
    this.#clients.set(server.url, made);
    return made;
  }

  /** The space of this name: on the chosen server, or else, where none was named, on whichever known one has it. */
  async space(name: string): Promise<SpaceHandle> {
    return (await this.find(name)).space;
  }

  async find(name: string): Promise<Found> {
    const server = await this.server();
    const found = await this.#found(server, name);
    if (this.pinned !== undefined) return found;
    try {
      await found.space.get();
      return found;
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code !== "not_found" && code !== "unreachable") throw error;
      const elsewhere = await this.#search(name, server);
      if (elsewhere) return elsewhere;
      throw error;
    }
  }

  /** Every server that is known: those of the profiles, and the nodes that they tell of. */
  async everyServer(options: { refresh?: boolean } = {}): Promise<Server[]> {
    const configured = this.servers().configured();
    return distinct([...configured, ...(await this.#others(configured, options))]);
  }

  async #search(name: string, asked: Server): Promise<Found | undefined> {
    const others = (await this.everyServer()).filter(({ url }) => url !== asked.url);
    const found = await Promise.all(
      others.map(async (server) => {
        const candidate = await this.#found(server, name);
        return await candidate.space.get().then(
          () => candidate,
          () => undefined,
        );
      }),
    );
    const [first, second] = found.filter((each) => each !== undefined);
    if (first && second) {
      throw new CliError(
        `There is a space "${name}" on ${first.server.name} and on ${second.server.name}.`,
        { hint: "Say which with --server." },
      );
    }
    if (first) this.out.note(`(on ${first.server.name})`);
    return first;
  }

  async #found(server: Server, name: string): Promise<Found> {
    const clawdspace = await this.client(server);
    return { server, clawdspace, space: clawdspace.space(name) };
  }

  async #others(from: Server[], options: { refresh?: boolean } = {}): Promise<Server[]> {
    const lists = await Promise.all(
      from.map(async (server) => {
        const none: NodeList = { nodes: [], lastUpdatedAt: 0 };
        const client = await this.client(server);
        const { nodes } = await client.nodes(options).catch(() => none);
        return nodes.map(({ name, url }) => this.servers().node(name, url, server));
      }),
    );
    return lists.flat();
  }
}

const distinct = (servers: Server[]) =>
  servers.filter(({ url }, index) => servers.findIndex((each) => each.url === url) === index);
