import ipaddr from "ipaddr.js";
import { type Engine, EngineError } from "../engine/engine.js";
import type { Names } from "../spaces/names.js";
import { bridgeName, type SpaceNetwork } from "./ruleset.js";

/** Between the engine's choice of a subnet and our taking it, another may take it. */
const TRIES = 3;

const networkName = (names: Names) => `${names.namespace}-net`;

/** The network of this daemon's spaces, where it has been made. Throws an `Error` where another's network has its name. */
export async function findNetwork(engine: Engine, names: Names): Promise<SpaceNetwork | undefined> {
  const name = networkName(names);
  const found = await engine.findNetwork(name);
  if (!found) return undefined;
  const { subnet, gateway, bridge } = found;
  if (bridge === bridgeName(names.namespace) && subnet && gateway) {
    return { name, bridge, subnet, gateway };
  }
  throw new Error(`the engine has a network "${name}" that is not ours; remove or rename it`);
}

/**
 * Makes the network.
 * @param known its subnet where that is given (an address in it will do), as when spaces have addresses in it already;
 *   otherwise the engine chooses one that is free on its node.
 */
export async function makeNetwork(
  engine: Engine,
  names: Names,
  known: { subnet?: string | undefined; gateway?: string },
): Promise<SpaceNetwork> {
  const name = networkName(names);
  const bridge = bridgeName(names.namespace);
  const labels = names.ours;
  for (let tries = 1; ; tries++) {
    const subnet = known.subnet ? canonical(known.subnet) : await freeSubnet(engine, names);
    const gateway = known.gateway ?? firstHost(subnet);
    try {
      await engine.createNetwork({ name, bridge, subnet, gateway, labels });
      return { name, bridge, subnet, gateway };
    } catch (error) {
      const existing = await findNetwork(engine, names);
      if (existing) return existing;
      if (known.subnet || tries === TRIES || !(error instanceof EngineError)) throw error;
    }
  }
}

/** Addresses can be given out only in a network that was made with its subnet said, so the engine is asked for one first. */
async function freeSubnet(engine: Engine, names: Names): Promise<string> {
  const name = `${networkName(names)}.probe`;
  const bridge = `${bridgeName(names.namespace)}p`;
  await engine.removeNetwork(name);
  await engine.createNetwork({ name, bridge, labels: names.ours });
  try {
    const subnet = (await engine.findNetwork(name))?.subnet;
    if (subnet) return subnet;
    throw new Error("the engine chose no subnet for the network of the spaces");
  } finally {
    await engine.removeNetwork(name);
  }
}

const canonical = (subnet: string) =>
  `${ipaddr.IPv4.networkAddressFromCIDR(subnet).toString()}${subnet.slice(subnet.indexOf("/"))}`;

function firstHost(subnet: string): string {
  const octets = ipaddr.IPv4.networkAddressFromCIDR(subnet).octets;
  return [...octets.slice(0, 3), (octets[3] ?? 0) + 1].join(".");
}
