/** A table as `iptables-save` prints it. */
export class SavedTable {
  readonly #rules = new Map<string, string[]>();

  /** @param text holds the filter table; other tables in it are passed over. */
  constructor(text: string) {
    let inside = false;
    for (const line of text.split("\n")) {
      if (line.startsWith("*")) inside = line === "*filter";
      if (!inside) continue;
      const chain = /^:(\S+) /.exec(line)?.[1];
      if (chain) this.#rules.set(chain, []);
      const [, of = "", rule = ""] = /^-A (\S+) (.*?)\s*$/.exec(line) ?? [];
      this.#rules.get(of)?.push(rule);
    }
  }

  has = (chain: string) => this.#rules.has(chain);
  chains = () => this.#rules.keys();
  /** The rules of a chain in order, without its name; none where it is missing. */
  rules = (chain: string): readonly string[] => this.#rules.get(chain) ?? [];
}
