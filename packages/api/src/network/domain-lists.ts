import { type NetworkPolicy, policyId } from "./policy.js";

interface DomainList {
  /** Address of the gateway that serves it. */
  gateway: string;
  policy: NetworkPolicy;
}

/** Which spaces share which policy with a list of domains, and the gateway of each. */
export class DomainLists {
  readonly #lists = new Map<string, DomainList & { spaces: Set<string> }>();

  get all(): DomainList[] {
    return [...this.#lists.values()];
  }

  /** The list that a space is confined to. */
  of(space: string): DomainList | undefined {
    return [...this.#lists.values()].find(({ spaces }) => spaces.has(space));
  }

  /** The gateway that serves such a policy already. */
  gatewayOf(policy: NetworkPolicy): string | undefined {
    const id = policyId(policy);
    return this.all.find((list) => policyId(list.policy) === id)?.gateway;
  }

  /** Counts a space, by its address, to those that a gateway serves. */
  join(gateway: string, policy: NetworkPolicy, space: string): void {
    const list = this.#lists.get(gateway) ?? { gateway, policy, spaces: new Set() };
    list.spaces.add(space);
    this.#lists.set(gateway, list);
  }

  /** The gateway that serves nobody any more now that a space is gone, if there is one. */
  leave(space: string): string | undefined {
    for (const { gateway, spaces } of this.#lists.values()) {
      if (!spaces.delete(space) || spaces.size > 0) continue;
      this.#lists.delete(gateway);
      return gateway;
    }
    return undefined;
  }
}
