import {
  type ExecRequest,
  type ExecResult,
  ExecResultSchema,
  type GitPushRequest,
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
import type { Connection } from "./connection.js";
import { Command, type ExecOptions } from "./exec.js";
import { Files } from "./files.js";
import { Processes } from "./processes.js";
import { openTunnel, Terminal, type TerminalOptions, type Tunnel } from "./terminal.js";

const StatsAnswerSchema = z.object({ stats: SpaceStatsSchema });
const ObservabilityAnswerSchema = z.object({ observability: ObservabilitySchema });
const HistoryAnswerSchema = z.object({ history: MetricsHistorySchema });

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

class Git {
  constructor(
    private readonly connection: Connection,
    private readonly space: string,
  ) {}

  /** Pushes a branch with a token that is written nowhere. @param request `repoPath` is rooted at /workspace */
  async push(
    request: Pick<GitPushRequest, "repoPath" | "token"> & Partial<GitPushRequest>,
    options: { signal?: AbortSignal } = {},
  ): Promise<ExecResult> {
    return await this.connection.json(ExecResultSchema, "POST", `${this.space}/git/push`, {
      json: request,
      signal: options.signal,
      timeoutMs: null,
    });
  }
}
