import type { FastifyBaseLogger } from "fastify";
import type { Engine } from "../engine/engine.js";
import type { Names } from "../spaces/names.js";
import { Denials, parseRefused, type ReportedDenial } from "./denials.js";
import { DomainLists } from "./domain-lists.js";
import type { GatewayReport } from "./gateway-program.js";
import { Gateways } from "./gateways.js";
import { gatewayPolicy, type NetworkPolicy, refuses } from "./policy.js";
import { NOTES_KEPT_SECONDS } from "./policy-chains.js";
import type { SpaceNetwork } from "./ruleset.js";

interface Parts {
  engine: Engine;
  names: Names;
  log: FastifyBaseLogger;
  helperImage: string;
}

/** The spaces that reach listed domains only: the gateways that serve them, and what they were denied. */
export class DomainAccess {
  readonly #lists = new DomainLists();
  readonly #gateways: Gateways;
  readonly #denials = new Denials((denial) => this.#denied(denial));
  #denied: (denial: ReportedDenial) => void = () => {};
  #readAt: number | undefined;

  constructor(private readonly parts: Parts) {
    const report = (each: GatewayReport) => this.#reported(each);
    this.#gateways = new Gateways({ ...parts, image: parts.helperImage, report });
  }

  onDenied(listener: (denial: ReportedDenial) => void): void {
    this.#denied = listener;
  }

  gatewayOf = (policy: NetworkPolicy) => this.#lists.gatewayOf(policy);

  join(gateway: string, policy: NetworkPolicy, space: string): void {
    this.#lists.join(gateway, policy, space);
  }

  /** The gateway that serves nobody any more now that a space is gone, if there is one. */
  leave(space: string): string | undefined {
    this.#denials.forget(space);
    return this.#lists.leave(space);
  }

  /** Resolves when a gateway serves. Throws an `Error` that says why it can't. */
  async serve(
    network: SpaceNetwork,
    gateway: string,
    domains: readonly string[] = [],
  ): Promise<void> {
    await this.#gateways.ensure(network, gateway, domains);
  }

  /** Starts anew what doesn't run of the gateways that are needed. Never throws. */
  async serveAll(network: SpaceNetwork): Promise<void> {
    for (const { gateway, policy } of this.#lists.all) {
      await this.serve(network, gateway, policy.allowDomains).catch((error: unknown) =>
        this.parts.log.error({ err: error, gateway }, "a gateway to listed domains does not run"),
      );
    }
  }

  /** Removes gateways that serve nobody. */
  async tidy(): Promise<void> {
    await this.#gateways.keepOnly(() => new Set(this.#lists.all.map(({ gateway }) => gateway)));
  }

  /** Takes from the kernel's notes what was refused since they were read before. */
  readNotes(notes: string): void {
    const now = Date.now();
    const since = this.#readAt === undefined ? NOTES_KEPT_SECONDS : (now - this.#readAt) / 1000;
    this.#readAt = now;
    // The notes count whole seconds.
    for (const denial of parseRefused(notes, NOTES_KEPT_SECONDS, since + 1)) {
      if (this.#lists.of(denial.from)) this.#denials.note(denial);
    }
  }

  /** Ends the reading; gateways go on. */
  stop(): void {
    this.#gateways.stop();
  }

  #reported({ address, ...report }: GatewayReport): void {
    const list = this.#lists.of(report.from);
    if (!list) return;
    // A gateway that could not connect was denied that only where its policy says so.
    if (address && !refuses(gatewayPolicy(list.policy), address)) return;
    this.#denials.note({ ...report, ...(address ? { address } : {}) });
  }
}
