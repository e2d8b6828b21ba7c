import {
  type Capabilities,
  CapabilitiesSchema,
  type Doctor,
  DoctorSchema,
  type Event,
  EventSchema,
  type EventType,
  HealthSchema,
  MessageSchema,
  type NodeList,
  NodeListSchema,
  type System,
  SystemSchema,
} from "@clawdspace/protocol";
import { Connection } from "./connection.js";
import { Audit, Keys, Session, Spaces, Templates } from "./resources.js";
import {
  type SocketFactory,
  sockets,
  type WebSocketConstructor,
  type WebSocketSource,
} from "./socket.js";
import { SpaceHandle } from "./space.js";
import { type FollowOptions, followEvents } from "./sse.js";
import { fetchTransport, type Transport } from "./transport.js";

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_URL = "http://localhost:7777";

export interface ClientOptions {
  /** Where the daemon is. Default: in a browser where the page is from, elsewhere http://localhost:7777. */
  baseUrl?: string | undefined;
  /** An API key. A browser that has signed in (`session.create`) needs none. */
  key?: string | undefined;
  fetch?: typeof globalThis.fetch | undefined;
  /** A WebSocket class for terminals and tunnels; only needed where the platform has none. */
  WebSocket?: WebSocketSource | undefined;
  /** How long ordinary requests may take (default 30,000); what takes long by its nature has no limit. */
  timeoutMs?: number | undefined;
  /** Sent with every request. */
  headers?: Record<string, string> | undefined;
  /** The node of the fleet that has the spaces which are used; the daemon passes requests on to it. */
  node?: string | undefined;
  /** Carries requests in place of fetch. */
  transport?: Transport | undefined;
}

/** One Clawdspace daemon. Every failure is a `ClawdspaceError` with a stable `code`. */
export class Clawdspace {
  readonly baseUrl: string;
  readonly spaces: Spaces;
  readonly templates: Templates;
  readonly keys: Keys;
  readonly session: Session;
  readonly audit: Audit;
  readonly #connection: Connection;

  constructor(options: ClientOptions = {}) {
    const { key, headers, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    this.baseUrl = (options.baseUrl ?? pageOrigin() ?? DEFAULT_URL).replace(/\/+$/, "");
    const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#connection = new Connection({
      baseUrl: this.baseUrl,
      key,
      headers,
      timeoutMs,
      ...(options.node === undefined ? {} : { query: { node: options.node } }),
      transport: options.transport ?? fetchTransport(fetch),
      socket: options.WebSocket ? sockets(options.WebSocket) : platformSockets,
    });
    this.spaces = new Spaces(this.#connection);
    this.templates = new Templates(this.#connection);
    this.keys = new Keys(this.#connection);
    this.session = new Session(this.#connection);
    this.audit = new Audit(this.#connection);
  }

  /** A space by its name; this asks the daemon nothing. */
  space(name: string): SpaceHandle {
    return new SpaceHandle(this.#connection, name);
  }

  /** Needs no key. */
  async health(): Promise<{ status: "ok"; version: string }> {
    return await this.#connection.json(HealthSchema, "GET", "/api/health");
  }

  async system(): Promise<System> {
    return await this.#connection.json(SystemSchema, "GET", "/api/system");
  }

  async capabilities(): Promise<Capabilities> {
    return await this.#connection.json(CapabilitiesSchema, "GET", "/api/system/capabilities");
  }

  /** What is wrong with the daemon's node, and how to mend it. */
  async doctor(): Promise<Doctor> {
    return await this.#connection.json(DoctorSchema, "GET", "/api/doctor");
  }

  /** The machines that run Clawdspace, as this daemon knows them. */
  async nodes(options: { refresh?: boolean } = {}): Promise<NodeList> {
    const query = { refresh: options.refresh };
    return await this.#connection.json(NodeListSchema, "GET", "/api/nodes", { query });
  }

  /** Keeps a node from being given new spaces, or ends that (`undrain`). Its spaces go on. */
  async drain(node: string, change: "drain" | "undrain" = "drain"): Promise<string> {
    const path = `/api/nodes/${encodeURIComponent(node)}/${change}`;
    return (await this.#connection.json(MessageSchema, "POST", path)).message;
  }

  /**
   * What happens, as it happens, over lost connections and restarts of the daemon. "stream.reset" says that events were
   * missed: look at everything anew.
   */
  events(
    options: {
      space?: string | undefined;
      types?: EventType[] | undefined;
      lastEventId?: string | undefined;
    } & FollowOptions = {},
  ): AsyncGenerator<Event> {
    const { space, types, ...following } = options;
    return followEvents<Event>(this.#connection, EventSchema, "/api/events", {
      ...following,
      query: { space, types: types?.join(",") },
    });
  }
}

function pageOrigin(): string | undefined {
  const { location } = globalThis as { location?: { origin: string; protocol: string } };
  return location?.protocol.startsWith("http") ? location.origin : undefined;
}

const platformSockets: SocketFactory = async (request) => {
  const { WebSocket } = globalThis as { WebSocket?: WebSocketConstructor };
  if (WebSocket) return await sockets(WebSocket)(request);
  throw new Error(
    'This platform has no WebSocket. Give one: new Clawdspace({ WebSocket }), as of the package "ws".',
  );
};
