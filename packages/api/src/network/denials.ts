/** Something that a space wanted to reach and its list of domains has not. */
export interface Denial {
  /** Address of the space. */
  from: string;
  by: "dns" | "tls" | "http" | "address";
  name?: string;
  address?: string;
  port?: number;
}

export type ReportedDenial = Denial & {
  /** How many others of the space's went untold in the minute before. */
  untold?: number;
};

const MINUTE_MS = 60_000;
const MOST_A_MINUTE = 30;

interface Minute {
  since: number;
  told: Set<string>;
  untold: number;
}

/** Tells of each denial, and of the same one once a minute; of a space's denials no more than so many a minute. */
export class Denials {
  readonly #minutes = new Map<string, Minute>();

  constructor(private readonly tell: (denial: ReportedDenial) => void) {}

  note(denial: Denial, now = Date.now()): void {
    const { from, by, name, address, port } = denial;
    const minute = this.#minuteOf(from, now);
    const what = [by, name, address, port].join(" ");
    if (minute.told.has(what)) return;
    if (minute.told.size >= MOST_A_MINUTE) {
      minute.untold++;
      return;
    }
    minute.told.add(what);
    const { untold } = minute;
    minute.untold = 0;
    this.tell(untold > 0 ? { ...denial, untold } : denial);
  }

  /** Forgets what a space was denied. */
  forget(from: string): void {
    this.#minutes.delete(from);
  }

  #minuteOf(from: string, now: number): Minute {
    const current = this.#minutes.get(from);
    if (current && now - current.since < MINUTE_MS) return current;
    const fresh = { since: now, told: new Set<string>(), untold: current?.untold ?? 0 };
    this.#minutes.set(from, fresh);
    return fresh;
  }
}

const ENTRY = /^\d+ ([\d.]+):\d+->([\d.]+):(\d+) /;

/**
 * What the kernel noted of packets that a list of domains refused: the file of a hash limit, whose lines begin with how
 * many seconds they are kept from the last such packet on.
 */
export function parseRefused(
  text: string,
  keptSeconds: number,
  newerThanSeconds: number,
): Denial[] {
  return text.split("\n").flatMap((line) => {
    const [, from = "", address = "", port = "0"] = ENTRY.exec(line) ?? [];
    const age = keptSeconds - Number.parseInt(line, 10);
    if (from === "" || age > newerThanSeconds) return [];
    return [
      { from, by: "address" as const, address, ...(port === "0" ? {} : { port: Number(port) }) },
    ];
  });
}
