import { randomUUID } from "node:crypto";
import { freemem, totalmem } from "node:os";
import type { FastifyBaseLogger } from "fastify";
import type { EngineEvent } from "../engine/engine.js";
import type { Blueprint } from "../spaces/blueprint.js";
import { toContainerSpec } from "../spaces/container-spec.js";
import { memberIdentity } from "../spaces/names.js";
import type { SpaceSpec } from "../spaces/space-spec.js";
import { Demand, roomFor } from "./demand.js";
import {
  type Member,
  type MemberParts,
  makeMember,
  removeMember,
  type Stock,
  sweepMembers,
} from "./member.js";
import { shapeOf } from "./shape.js";

/** After the last create, before the pool makes more: what was created is used now. */
const QUIET_MS = 500;
/** Unclaimed for this long, a member sleeps. */
const PAUSE_AFTER_MS = 60_000;
const RETRY_MS = [2_000, 10_000, 60_000, 300_000];

interface Parts extends MemberParts {
  log: FastifyBaseLogger;
  /** How a spec would be made now. Throws where it can't be. */
  draw: (wanted: SpaceSpec) => Promise<Blueprint>;
  /** What is asked for where nothing is said. */
  home: () => Promise<SpaceSpec>;
  /** How many may wait; 0 for no pool. */
  limit: number;
  memory?: () => { free: number; total: number };
}

/** Started containers that wait to become spaces: as many, and of such shapes, as were asked for lately. */
export class WarmPool {
  readonly #ready: Member[] = [];
  /** The creates' ids of members from their making on until they are spaces or gone. */
  readonly #own = new Set<string>();
  readonly #demand = new Demand<SpaceSpec>();
  #creating = 0;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> | undefined;
  #again = false;
  #failures = 0;
  #notBefore = 0;
  #stopped = true;

  constructor(private readonly parts: Parts) {}

  /** How many wait. */
  get ready(): number {
    return this.#ready.length;
  }

  /** Begins to make members. */
  start(): void {
    if (this.parts.limit === 0) return;
    this.#stopped = false;
    this.#plan(0);
  }

  /** Ends, and removes all that wait. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#working;
    await Promise.all(this.#ready.splice(0).map((member) => this.#remove(member)));
  }

  /** While a space is being made, the pool makes nothing: call what is returned when it is done. */
  hold(): () => void {
    this.#creating++;
    clearTimeout(this.#timer);
    return () => {
      this.#creating--;
      this.#plan(QUIET_MS);
    };
  }

  /** Takes a member out that is exactly what a blueprint would make, if one waits; `settle` it when it is a space or gone. */
  take(blueprint: Blueprint): Member | undefined {
    if (this.#stopped || !isPoolable(blueprint)) return undefined;
    const shape = this.#shape(blueprint);
    this.#demand.ask(shape, blueprint.spec);
    // One that is awake first, and of those the oldest.
    const fits = this.#ready.filter((member) => member.shape === shape);
    const member = fits.find(({ paused }) => !paused) ?? fits[0];
    if (member) this.#ready.splice(this.#ready.indexOf(member), 1);
    return member;
  }

  settle(member: Member): void {
    this.#own.delete(member.createId);
  }

  /** Hears of what happened to containers that are no spaces. */
  observe({ containerId, action }: EngineEvent): void {
    const member = this.#ready.find(({ id }) => id === containerId);
    if (!member) return;
    if (action === "pause" || action === "unpause") member.paused = action === "pause";
    if (action !== "die" && action !== "destroy") return;
    this.#ready.splice(this.#ready.indexOf(member), 1);
    void this.#remove(member).then(() => this.#plan(QUIET_MS));
  }

  /** Removes what earlier daemons left, and looks whether what waits is still what is wanted. */
  async tidy(stock: Stock): Promise<void> {
    await sweepMembers(this.parts, stock, (createId) => this.#own.has(createId));
    this.#plan(0);
  }

  #plan(afterMs: number): void {
    if (this.#stopped || this.#creating > 0) return;
    clearTimeout(this.#timer);
    const wait = Math.max(afterMs, this.#notBefore - Date.now());
    this.#timer = setTimeout(() => this.#begin(), wait).unref();
  }

  #begin(): void {
    if (this.#working) {
      this.#again = true;
      return;
    }
    this.#working = this.#work()
      .then(
        () => {
          this.#failures = 0;
        },
        (error: unknown) => this.#failed(error),
      )
      .finally(() => {
        this.#working = undefined;
        if (this.#again) this.#plan(QUIET_MS);
        this.#again = false;
      });
  }

  #failed(error: unknown): void {
    const wait = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)] ?? 0;
    this.#notBefore = Date.now() + wait;
    this.parts.log.warn({ err: error }, "could not keep a space ready in advance");
    this.#again = true;
  }

  /** Brings what waits to what is wanted now, one after another, until a create comes. */
  async #work(): Promise<void> {
    const wanted = await this.#wanted();
    for (const member of [...this.#ready]) {
      const target = wanted.get(member.shape);
      if (target && target.count > 0) target.count--;
      else if (this.#ready.includes(member)) {
        this.#ready.splice(this.#ready.indexOf(member), 1);
        await this.#remove(member);
      }
    }
    for (const { blueprint, count } of wanted.values()) {
      for (let made = 0; made < count; made++) {
        if (this.#stopped || this.#creating > 0) return;
        await this.#make(blueprint);
      }
    }
    for (const member of [...this.#ready]) await this.#rest(member);
  }

  /** How many should wait by shape, with how they are made: an image that was built anew has another shape than before. */
  async #wanted(): Promise<Map<string, { blueprint: Blueprint; count: number }>> {
    const { limit, draw, home, memory = localMemory } = this.parts;
    const { free, total } = memory();
    const room = roomFor(limit, this.#ready.length, free, total);
    const standard = await draw(await home());
    const at = { shape: this.#shape(standard), what: standard.spec };
    const wanted = new Map<string, { blueprint: Blueprint; count: number }>();
    for (const { what, count } of this.#demand
      .targets(room, isPoolable(standard) ? at : undefined)
      .values()) {
      // What was asked for once may not be there any more.
      const blueprint = await draw(what).catch(() => undefined);
      if (!blueprint || !isPoolable(blueprint)) continue;
      const shape = this.#shape(blueprint);
      wanted.set(shape, { blueprint, count: count + (wanted.get(shape)?.count ?? 0) });
    }
    return wanted;
  }

  async #make(blueprint: Blueprint): Promise<void> {
    const createId = randomUUID();
    this.#own.add(createId);
    try {
      const shape = this.#shape(blueprint);
      this.#ready.push(await makeMember(this.parts, blueprint, { createId, shape }));
    } catch (error) {
      this.#own.delete(createId);
      throw error;
    }
  }

  async #rest(member: Member): Promise<void> {
    const at = this.#ready.indexOf(member);
    if (at < 0 || member.paused || Date.now() - member.readySince < PAUSE_AFTER_MS) return;
    // Nobody takes it while it falls asleep.
    this.#ready.splice(at, 1);
    try {
      await this.parts.engine.pauseContainer(member.id);
    } catch {
      return await this.#remove(member);
    }
    member.paused = true;
    this.#ready.push(member);
  }

  async #remove(member: Member): Promise<void> {
    try {
      await removeMember(this.parts, member);
    } catch (error) {
      this.parts.log.warn({ err: error }, "a waiting container could not be removed yet");
    }
    this.#own.delete(member.createId);
  }

  #shape(blueprint: Blueprint): string {
    const identity = memberIdentity(this.parts.names, "", undefined);
    const attached = blueprint.spec.network !== "none";
    // Whichever address: that there is one is what the shape tells, and all are in one network.
    const spec = { ...blueprint.spec, ...(attached ? { address: "0.0.0.0/0" } : {}) };
    const network = attached ? "the spaces' network" : undefined;
    const container = toContainerSpec(spec, { ...blueprint, identity, network });
    return shapeOf(container, blueprint.image.id);
  }
}

/**
 * Whether a started container can stand in: not where commands need the engine, nor where the container is made for a
 * disk of its own, the node's GPU, or the gateway to a list of domains.
 */
const isPoolable = ({ spec, guestVolume }: Blueprint) =>
  guestVolume !== undefined &&
  !spec.gpu &&
  spec.diskBytes === undefined &&
  spec.allowDomains === undefined;

const localMemory = () => ({ free: freemem(), total: totalmem() });
