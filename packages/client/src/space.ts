import {
  ClawdspaceError,
  type CreateSpaceEvent,
  CreateSpaceEventSchema,
  type ExecRequest,
  type ExecResult,
  ExecResultSchema,
  type GitCheckoutRequest,
  GitCloneEventSchema,
  type GitCloneRequest,
  type GitCommitRequest,
  type GitHead,
  GitHeadSchema,
  type GitPullAnswer,
  GitPullAnswerSchema,
  type GitPullRequest,
  type GitPushRequest,
  type GitStatus,
  GitStatusSchema,
  MessageSchema,
  type MetricsHistory,
  MetricsHistorySchema,
  type Observability,
  ObservabilitySchema,
  type PortList,
  PortListSchema,
  type PortReady,
  PortReadySchema,
  type PreviewLink,
  PreviewLinkSchema,
  type Space,
  SpaceAnswerSchema,
  type SpaceStats,
  SpaceStatsSchema,
  TerminalListSchema,
  type TerminalSession,
} from "@clawdspace/protocol";
import * as z from "zod";
import { type Connection, inBandError, type Schema } from "./connection.js";
import { Command, type ExecOptions } from "./exec.js";
import { Files } from "./files.js";
import { Processes } from "./processes.js";
import { openTunnel, Terminal, type TerminalOptions, type Tunnel } from "./terminal.js";

const StatsAnswerSchema = z.object({ stats: SpaceStatsSchema });
const ObservabilityAnswerSchema = z.object({ observability: ObservabilitySchema });
const HistoryAnswerSchema = z.object({ history: MetricsHistorySchema });

export type MoveProgress = Extract<CreateSpaceEvent, { type: "progress" }>;

/** One space by its name. Making this asks the daemon nothing. */
export class SpaceHandle {
  readonly processes: Processes;
  readonly files: Files;
  readonly terminals: Terminals;
  readonly ports: Ports;
  readonly git: Git;
  readonly #path: string;

  constructor(
    private readonly connection: Connection,
    readonly name: string,
    /** What the daemon told when it was created; `get` asks anew. */
    readonly info?: Space,
  ) {
    this.#path = `/api/spaces/${encodeURIComponent(name)}`;
    this.processes = new Processes(connection, this.#path);
    this.files = new Files(connection, this.#path);
    this.terminals = new Terminals(connection, this.#path);
    this.ports = new Ports(connection, this.#path);
    this.git = new Git(connection, this.#path);
  }

  async get(): Promise<Space> {
    return (await this.connection.json(SpaceAnswerSchema, "GET", this.#path)).space;
  }

  /** Runs a command: a text as `sh -c`, an array as program and arguments. A sleeping space wakes first. */
  exec(command: ExecRequest["command"], options?: ExecOptions): Command {
    return new Command(this.connection, this.#path, command, options);
  }

  /** Opens a terminal. Throws `ClawdspaceError`, such as `not_found`. */
  async terminal(options: TerminalOptions = {}): Promise<Terminal> {
    return await Terminal.open(this.connection, this.#path, options);
  }

  /** Wakes it, or starts it. */
  async start(): Promise<void> {
    await this.#post("start");
  }

  /** Puts it to sleep; its memory is kept and the next use wakes it. */
  async stop(): Promise<void> {
    await this.#post("stop");
  }

  /** Removes it; its files stay for the next space of this name unless `removeVolume` is set. */
  async remove(options: { removeVolume?: boolean } = {}): Promise<void> {
    const query = { removeVolume: options.removeVolume };
    await this.connection.json(MessageSchema, "DELETE", this.#path, { query, timeoutMs: null });
  }

  /**
   * Moves it to another node of the fleet, with its files; what runs in it ends. Throws `wrong_state`, `exists`,
   * `insufficient_resources`, `node_unreachable`; the space is where it was then.
   */
  async move(
    node: string,
    options: { onProgress?: (progress: MoveProgress) => void; signal?: AbortSignal } = {},
  ): Promise<SpaceHandle> {
    const sent = { json: { node }, signal: options.signal };
    const path = `${this.#path}/move`;
    for await (const event of this.connection.lines(CreateSpaceEventSchema, "POST", path, sent)) {
      if (event.type === "error") throw inBandError(event);
      if (event.type === "space") return new SpaceHandle(this.connection, this.name, event.space);
      options.onProgress?.(event);
    }
    throw new ClawdspaceError("unreachable", "The connection ended before the space was moved.");
  }

  /**
   * Takes the copy on the node that it was to leave as the space again, where the other node doesn't come back to say whether it
   * keeps it. Throws `wrong_state` where no move is open, or the other node answers that it has the space.
   */
  async abandonMove(): Promise<void> {
    await this.connection.json(MessageSchema, "DELETE", `${this.#path}/move`);
  }

  async stats(): Promise<SpaceStats> {
    return (await this.connection.json(StatsAnswerSchema, "GET", `${this.#path}/stats`)).stats;
  }

  /** Stats, disk use, processes and the shell history's end in one. */
  async observability(): Promise<Observability> {
    const path = `${this.#path}/observability`;
    return (await this.connection.json(ObservabilityAnswerSchema, "GET", path)).observability;
  }

  /** What it used in the last hour. */
  async metrics(): Promise<MetricsHistory> {
    const path = `${this.#path}/metrics/history`;
    return (await this.connection.json(HistoryAnswerSchema, "GET", path)).history;
  }

  async #post(verb: string): Promise<void> {
    const options = { timeoutMs: null };
    await this.connection.json(MessageSchema, "POST", `${this.#path}/${verb}`, options);
  }
}

/** Terminals that outlive their connections. */
class Terminals {
  constructor(
    private readonly connection: Connection,
    private readonly space: string,
  ) {}

  async list(): Promise<TerminalSession[]> {
    const path = `${this.space}/terminals`;
    return (await this.connection.json(TerminalListSchema, "GET", path)).terminals;
  }

  async end(session: string): Promise<void> {
    const path = `${this.space}/terminals/${encodeURIComponent(session)}`;
    await this.connection.json(MessageSchema, "DELETE", path);
  }
}

/** What listens in the space. */
class Ports {
  constructor(
    private readonly connection: Connection,
    private readonly space: string,
  ) {}

  async list(): Promise<PortList> {
    return await this.connection.json(PortListSchema, "GET", `${this.space}/ports`);
  }

  /** Waits until something listens. Throws `timed_out` after `timeoutMs` (default 30,000). */
  async wait(
    port: number,
    { timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<PortReady> {
    return await this.connection.json(PortReadySchema, "POST", `${this.space}/ports/${port}/wait`, {
      json: timeoutMs === undefined ? {} : { timeoutMs },
      signal,
      timeoutMs: null,
    });
  }

  /** A link with which others can use this port until it expires. */
  async link(
    port: number,
    options: { expiresInSeconds?: number; via?: "host" | "path"; keepPrefix?: boolean } = {},
  ): Promise<PreviewLink> {
    const path = `${this.space}/ports/${port}/link`;
    return await this.connection.json(PreviewLinkSchema, "POST", path, { json: options });
  }

  /** The address at which this port answers to whoever has the key. */
  url(port: number): string {
    return this.connection.url(`${this.space}/proxy/${port}/`);
  }

  /** A TCP connection to the port. */
  async tunnel(port: number): Promise<Tunnel> {
    return await openTunnel(this.connection, this.space, port);
  }
}

type Repo<T extends { repoPath: string }> = Pick<T, "repoPath"> & Partial<T>;
interface GitOptions {
  signal?: AbortSignal;
}

/** git in the space. A token is for the one request and written nowhere; `repoPath` is rooted at /workspace. */
class Git {
  readonly #path: string;

  constructor(
    private readonly connection: Connection,
    space: string,
  ) {
    this.#path = `${space}/git`;
  }

  /** Throws `not_found` where there is no repository. */
  async status(repoPath: string, options: GitOptions = {}): Promise<GitStatus> {
    const sent = { query: { repoPath }, ...options };
    return await this.connection.json(GitStatusSchema, "GET", `${this.#path}/status`, sent);
  }

  /** Clones into `dest` (default "repo"); `onProgress` is told git's own lines. Throws `git_auth_failed`, `git_conflict`. */
  async clone(
    request: Pick<GitCloneRequest, "url"> & Partial<GitCloneRequest>,
    { signal, onProgress }: GitOptions & { onProgress?: (line: string) => void } = {},
  ): Promise<GitHead> {
    const path = `${this.#path}/clone`;
    const options = { json: request, signal };
    for await (const event of this.connection.lines(GitCloneEventSchema, "POST", path, options)) {
      if (event.type === "error") throw inBandError(event);
      if (event.type === "done") return event.repository;
      onProgress?.(event.message);
    }
    throw new ClawdspaceError("unreachable", "The connection ended before the clone did.");
  }

  /** Throws `git_conflict` where own commits are in the way and `rebase` isn't set, `git_auth_failed`. */
  async pull(request: Repo<GitPullRequest>, options?: GitOptions): Promise<GitPullAnswer> {
    return await this.#post(GitPullAnswerSchema, "pull", request, options);
  }

  /** What git refuses otherwise is its own answer. Throws `git_conflict` where the remote has more, `git_auth_failed`. */
  async push(
    request: Repo<GitPushRequest> & Pick<GitPushRequest, "token">,
    options?: GitOptions,
  ): Promise<ExecResult> {
    return await this.#post(ExecResultSchema, "push", request, options);
  }

  /** Commits what changed, or `paths`, or what is `staged`. Throws `wrong_state` where that is nothing. */
  async commit(
    request: Repo<GitCommitRequest> & Pick<GitCommitRequest, "message">,
    options?: GitOptions,
  ): Promise<GitHead> {
    return await this.#post(GitHeadSchema, "commit", request, options);
  }

  /** Moves to a branch, a tag or a commit. Throws `git_conflict` where changes are in the way, `not_found`. */
  async checkout(
    request: Repo<GitCheckoutRequest> & Pick<GitCheckoutRequest, "ref">,
    options?: GitOptions,
  ): Promise<GitHead> {
    return await this.#post(GitHeadSchema, "checkout", request, options);
  }

  async #post<T>(
    schema: Schema<T>,
    verb: string,
    json: unknown,
    { signal }: GitOptions = {},
  ): Promise<T> {
    const options = { json, signal, timeoutMs: null };
    return await this.connection.json(schema, "POST", `${this.#path}/${verb}`, options);
  }
}
