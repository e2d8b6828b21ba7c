import type { Engine } from "../engine/engine.js";
import { LABEL, Names } from "../spaces/names.js";
import { findNetwork } from "./engine-network.js";
import { openFirewall } from "./firewall.js";

/**
 * Takes the network of a daemon's spaces and its rules out of the engine; where there is none, does nothing.
 * @param helperImage has iptables, for where this process can't change rules itself
 * Throws `EngineError` of the kind `conflict` while a space is attached, and an `Error` where rules can't be changed.
 */
export async function uninstallNetwork(
  engine: Engine,
  namespace: string,
  helperImage: string,
): Promise<void> {
  const names = new Names(namespace);
  const network = await findNetwork(engine, names);
  if (!network) return;
  // Chosen while the bridge is there to see.
  const firewall = await openFirewall(engine, names, network, helperImage);
  for (const { id, labels } of await engine.listContainers(names.ours)) {
    if (labels[LABEL.gateway] !== undefined) await engine.removeContainer(id);
  }
  await engine.removeNetwork(network.name);
  await firewall.clear();
}
