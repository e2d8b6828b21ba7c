import { isIPv4 } from "node:net";
import { z } from "zod";

/** A machine that may run a daemon. */
export interface Machine {
  name: string;
  url: string;
  self: boolean;
  /** What the tailnet says; always so for machines that the owner named. */
  online: boolean;
  /** The address in the tailnet, where that is how the machine was found: nobody else can answer there. */
  address?: string;
  /** This machine's Tailscale has no interface of its own: what comes for it is handed on from the loopback. */
  handsOn?: boolean;
}

const PeerSchema = z.object({
  HostName: z.string(),
  DNSName: z.string().default(""),
  TailscaleIPs: z.array(z.string()).nullish(),
  Online: z.boolean().default(false),
  Tags: z.array(z.string()).nullish(),
});

const StatusSchema = z.object({
  BackendState: z.string(),
  TUN: z.boolean().default(true),
  Self: PeerSchema,
  Peer: z.record(z.string(), PeerSchema).nullish(),
});

/**
 * The machines in what `tailscale status --json` prints, this one first. Throws an `Error` where the text is something else,
 * or where Tailscale isn't connected.
 */
export function toMachines(
  printed: unknown,
  { tag, allowed, port }: { tag: string | undefined; allowed: string[]; port: number },
): Machine[] {
  const parsed = StatusSchema.safeParse(printed);
  if (!parsed.success) throw new Error("it printed no status that is known here");
  const { BackendState, TUN, Self, Peer } = parsed.data;
  if (BackendState !== "Running") throw new Error(`Tailscale is in the state "${BackendState}"`);
  const names = new Set<string>();
  const toMachine = (peer: z.infer<typeof PeerSchema>, self: boolean): Machine[] => {
    const addresses = peer.TailscaleIPs ?? [];
    const address = addresses.find((each) => isIPv4(each)) ?? addresses[0];
    const name = toName(peer);
    if (address === undefined || name === "" || names.has(name)) return [];
    names.add(name);
    const host = isIPv4(address) ? address : `[${address}]`;
    const url = `http://${host}:${port}`;
    const handsOn = self && !TUN ? { handsOn: true } : {};
    return [{ name, url, self, online: self || peer.Online, address, ...handsOn }];
  };
  const wanted = Object.values(Peer ?? {}).filter(
    (peer) =>
      (tag === undefined || peer.Tags?.includes(tag)) &&
      (allowed.length === 0 || allowed.includes(toName(peer))),
  );
  wanted.sort((a, b) => toName(a).localeCompare(toName(b)));
  return [...toMachine(Self, true), ...wanted.flatMap((peer) => toMachine(peer, false))];
}

/** The name in the tailnet's DNS, which no two machines share; a host name may be had twice. */
function toName({ DNSName, HostName }: z.infer<typeof PeerSchema>): string {
  const name = DNSName.split(".")[0] || HostName;
  return name
    .replace(/[^a-zA-Z0-9._-]+/g, "-")
    .replace(/^[._-]+/, "")
    .slice(0, 63);
}
