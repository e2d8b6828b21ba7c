import type { Duplex } from "node:stream";
import { guestFiles } from "./files.js";
import { GuestLink } from "./link.js";
import { nothing, PayloadWriter } from "./payload.js";
import { Processes } from "./processes.js";
import { decodePorts, decodeTable, PORTS_REQUEST, TABLE_REQUEST } from "./tables.js";
import { connectPort } from "./tcp.js";
import {
  type Guest,
  type GuestAttach,
  type GuestConnectionOptions,
  GuestError,
  type GuestFiles,
  type GuestOutput,
  type GuestPath,
  type GuestPort,
  type GuestProcessInfo,
  type GuestProcessSpec,
  type GuestRun,
  type GuestTableEntry,
  type GuestWatchEvent,
  type OpenPipes,
} from "./types.js";
import { watchPath } from "./watch.js";

const PING_REQUEST = new PayloadWriter().u8(1).finish();
const SHUTDOWN = 11;

/** The daemon's hold on one space's guest agent; see Guest for what each method does. */
export class GuestConnection implements Guest {
  readonly files: GuestFiles;
  readonly #link: GuestLink;
  readonly #processes: Processes;

  private constructor(link: GuestLink) {
    this.#link = link;
    this.#processes = new Processes(link);
    this.files = guestFiles(link);
  }

  /**
   * Attaches and shakes hands. Throws "unavailable" (no transport or no answer within openTimeoutMs), "version",
   * "protocol", or "closed" where attach said so.
   */
  static async open(
    attach: GuestAttach,
    options: GuestConnectionOptions = {},
  ): Promise<GuestConnection> {
    return new GuestConnection(await GuestLink.open(attach, options));
  }

  get hasFiles(): boolean {
    return this.#link.hasFiles;
  }

  get bootId(): string {
    return this.#link.bootId;
  }

  /** See GuestLink.preferPipes. */
  preferPipes(open: OpenPipes): void {
    this.#link.preferPipes(open);
  }

  get prefersPipes(): boolean {
    return this.#link.prefersPipes;
  }

  start(spec: GuestProcessSpec): Promise<{ id: string; pid: number }> {
    return this.#processes.start(spec);
  }

  run(spec: GuestProcessSpec, signal?: AbortSignal): GuestRun {
    return this.#processes.run(spec, signal);
  }

  list(): Promise<GuestProcessInfo[]> {
    return this.#processes.list();
  }

  output(id: string, fromOffset: number, signal?: AbortSignal): AsyncIterable<GuestOutput> {
    return this.#processes.output(id, fromOffset, signal);
  }

  retain(id: string, fromOffset: number): () => void {
    return this.#processes.retain(id, fromOffset);
  }

  writeStdin(id: string, data: Buffer): Promise<void> {
    return this.#processes.writeStdin(id, data);
  }

  closeStdin(id: string): Promise<void> {
    return this.#processes.closeStdin(id);
  }

  resize(id: string, cols: number, rows: number): Promise<void> {
    return this.#processes.resize(id, cols, rows);
  }

  signal(id: string, signal: NodeJS.Signals, scope: "group" | "all"): Promise<number> {
    return this.#processes.signal(id, signal, scope);
  }

  forget(id: string): Promise<void> {
    return this.#processes.forget(id);
  }

  watch(
    path: GuestPath,
    options: { recursive?: boolean },
    signal?: AbortSignal,
  ): Promise<AsyncIterable<GuestWatchEvent>> {
    return watchPath(this.#link, path, options.recursive ?? false, signal);
  }

  connect(port: number, signal?: AbortSignal): Promise<Duplex> {
    return connectPort(this.#link, port, signal);
  }

  async processTable(): Promise<GuestTableEntry[]> {
    return await this.#link.request("process table", TABLE_REQUEST, decodeTable, { retry: true });
  }

  async listeningPorts(): Promise<GuestPort[]> {
    return await this.#link.request("listening ports", PORTS_REQUEST, decodePorts, { retry: true });
  }

  async ping(): Promise<number> {
    const before = performance.now();
    await this.#link.request("ping", PING_REQUEST, nothing, { retry: true });
    return performance.now() - before;
  }

  async shutdown(graceMs: number): Promise<void> {
    const request = new PayloadWriter().u8(SHUTDOWN).u32(graceMs).finish();
    try {
      await this.#link.request("shutdown", request, nothing);
    } catch (error) {
      // Its end can overtake its answer.
      const gone = error instanceof GuestError && /^(unavailable|closed)$/.test(error.code);
      if (!gone) throw error;
    }
  }

  close(): void {
    this.#link.close();
  }
}
