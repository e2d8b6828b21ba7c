import { type NetworkPolicy, policyId } from "./policy.js";

/** How many addresses of one policy are kept admitted, and of how many policies. */
const KEPT = 16;
const POLICIES = 3;

/** Addresses that are admitted before anybody has them, so that a create need not wait for rules. */
export class SpareAddresses {
  /** By policy, the one that was asked for longest ago first. */
  readonly #kept = new Map<string, { policy: NetworkPolicy; addresses: string[] }>();

  /** One that is admitted to just this policy, if there is one; the policy is one to keep some of from now on. */
  take(policy: NetworkPolicy): string | undefined {
    const id = policyId(policy);
    const kept = this.#kept.get(id) ?? { policy, addresses: [] };
    this.#kept.delete(id);
    this.#kept.set(id, kept);
    return kept.addresses.shift();
  }

  /** One of any policy, for where no other address is left. */
  takeAny(): string | undefined {
    for (const { addresses } of this.#kept.values()) {
      const address = addresses.shift();
      if (address !== undefined) return address;
    }
    return undefined;
  }

  add(policy: NetworkPolicy, addresses: string[]): void {
    this.#kept.get(policyId(policy))?.addresses.push(...addresses);
  }

  /** What is missing of each policy that was asked for lately. */
  wanting(): { policy: NetworkPolicy; count: number }[] {
    return [...this.#kept.values()]
      .map(({ policy, addresses }) => ({ policy, count: KEPT - addresses.length }))
      .filter(({ count }) => count >= KEPT / 2);
  }

  /** Forgets policies that others were asked for instead of; returns the addresses that were kept for them. */
  forgetOld(): string[] {
    const old = [...this.#kept].slice(0, Math.max(0, this.#kept.size - POLICIES));
    for (const [id] of old) this.#kept.delete(id);
    return old.flatMap(([, { addresses }]) => addresses);
  }
}
