import { randomUUID } from "node:crypto";
import type { GuestLink } from "./link.js";
import { OutputReader } from "./output.js";
import { nothing } from "./payload.js";
import {
  decodeList,
  decodeSignaled,
  decodeStarted,
  encodeForget,
  encodeList,
  encodeResize,
  encodeSignal,
  encodeStart,
  type GuestProcessPage,
} from "./process-codec.js";
import { StdinFeeder } from "./stdin.js";
import {
  GuestError,
  type GuestOutput,
  type GuestProcessInfo,
  type GuestProcessSpec,
  type GuestRun,
} from "./types.js";

/** More than a guest keeps. */
const MAX_LISTED = 2_000;
/** How long a process stays that is to be forgotten, unless a start takes the word along: each packet costs some 0.3 ms of a CPU. */
const FORGET_DELAY_MS = 5;
/** That many are forgotten at once. A guest keeps 256. */
const MAX_UNFORGOTTEN = 32;

// From a stock of random bytes, where randomBytes would ask the system each time.
const newId = (): string => randomUUID().replaceAll("-", "");

/** Managed processes over a link. */
export class Processes {
  readonly #link: GuestLink;
  readonly #feeders = new Map<string, StdinFeeder>();
  #unforgotten: (() => void)[] = [];
  #forgetTimer: NodeJS.Timeout | undefined;

  constructor(link: GuestLink) {
    this.#link = link;
  }

  start(spec: GuestProcessSpec): Promise<{ id: string; pid: number }> {
    const id = spec.id ?? newId();
    return this.#start(id, spec);
  }

  async #start(id: string, spec: GuestProcessSpec): Promise<{ id: string; pid: number }> {
    // No await before the request: what follows in the same turn travels in the same packet.
    this.#sendForgets();
    const answer = this.#link.request("start", encodeStart(id, spec), decodeStarted, {
      retry: true,
    });
    if (spec.stdin || spec.pty) this.#newFeeder(id, 0);
    try {
      return { id, ...(await answer) };
    } catch (error) {
      this.#feeders.delete(id);
      throw error;
    }
  }

  run(spec: GuestProcessSpec, signal?: AbortSignal): GuestRun {
    const id = spec.id ?? newId();
    const started = this.#start(id, spec);
    started.catch(() => {});
    const output = new OutputReader(this.#link, id, 0, signal, started).start();
    return { id, started, output };
  }

  async list(): Promise<GuestProcessInfo[]> {
    const all: GuestProcessInfo[] = [];
    let after: number | undefined = 0;
    while (after !== undefined) {
      const answer: GuestProcessPage = await this.#link.request(
        "list",
        encodeList(after),
        decodeList,
        { retry: true },
      );
      all.push(...answer.processes);
      if (all.length > MAX_LISTED)
        throw new GuestError("limit", "The guest agent lists without end");
      after = answer.next;
    }
    return all;
  }

  output(id: string, fromOffset: number, signal?: AbortSignal): AsyncIterable<GuestOutput> {
    return new OutputReader(this.#link, id, fromOffset, signal);
  }

  retain(id: string, fromOffset: number): () => void {
    const reader = new OutputReader(this.#link, id, fromOffset, undefined, undefined, 0).start();
    return () => void reader.return();
  }

  writeStdin(id: string, data: Buffer): Promise<void> {
    return this.#feeder(id).write(data);
  }

  closeStdin(id: string): Promise<void> {
    return this.#feeder(id).end();
  }

  async resize(id: string, cols: number, rows: number): Promise<void> {
    const request = encodeResize(id, cols, rows);
    await this.#link.request("resize", request, nothing, { retry: true });
  }

  async signal(id: string, signal: NodeJS.Signals, scope: "group" | "all"): Promise<number> {
    const request = encodeSignal(id, signal, scope);
    return await this.#link.request(`signal ${signal}`, request, decodeSignaled, { retry: true });
  }

  forget(id: string): Promise<void> {
    this.#feeders.delete(id);
    return new Promise((resolve, reject) => {
      this.#unforgotten.push(() => {
        const request = encodeForget(id);
        this.#link.request("forget", request, nothing, { retry: true }).then(resolve, reject);
      });
      if (this.#unforgotten.length >= MAX_UNFORGOTTEN) this.#sendForgets();
      else this.#forgetTimer ??= setTimeout(() => this.#sendForgets(), FORGET_DELAY_MS);
    });
  }

  #sendForgets(): void {
    clearTimeout(this.#forgetTimer);
    this.#forgetTimer = undefined;
    const sends = this.#unforgotten;
    this.#unforgotten = [];
    for (const send of sends) send();
  }

  #newFeeder(id: string, knownOffset: number | undefined): StdinFeeder {
    const feeder = new StdinFeeder(this.#link, id, knownOffset, () => {
      if (this.#feeders.get(id) === feeder) this.#feeders.delete(id);
    });
    this.#feeders.set(id, feeder);
    return feeder;
  }

  #feeder(id: string): StdinFeeder {
    return this.#feeders.get(id) ?? this.#newFeeder(id, undefined);
  }
}
