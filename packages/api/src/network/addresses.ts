import ipaddr from "ipaddr.js";

/** Hands out the addresses of a subnet in turn, so that one that was given back is long unused before it comes again. */
export class Addresses {
  readonly #first: number;
  readonly #count: number;
  readonly #taken = new Set<number>();
  #next: number;

  /** @param subnet as CIDR. Its first address is the network's, the next one the gateway's, its last the broadcast's. */
  constructor(subnet: string, start = Math.random()) {
    const base = toNumber(ipaddr.IPv4.networkAddressFromCIDR(subnet).toString());
    const size = 2 ** (32 - Number(subnet.slice(subnet.indexOf("/") + 1)));
    this.#first = base + 2;
    this.#count = Math.max(0, size - 3);
    this.#next = Math.floor(start * this.#count);
  }

  get free(): number {
    return this.#count - this.#taken.size;
  }

  /** undefined where all are taken. */
  take(): string | undefined {
    for (let tries = 0; tries < this.#count; tries++) {
      const address = this.#first + this.#next;
      this.#next = (this.#next + 1) % this.#count;
      if (this.#taken.has(address)) continue;
      this.#taken.add(address);
      return toText(address);
    }
    return undefined;
  }

  /** Marks one as taken that is known otherwise. */
  claim(address: string): void {
    this.#taken.add(toNumber(address));
  }

  giveBack(address: string): void {
    this.#taken.delete(toNumber(address));
  }
}

const toNumber = (address: string) =>
  ipaddr.IPv4.parse(address).octets.reduce((sum, octet) => sum * 256 + octet, 0);
const toText = (number: number) =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
