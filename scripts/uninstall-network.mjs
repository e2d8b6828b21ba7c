// Takes the network of the spaces and its rules out of the engine, once all spaces are removed.
import { readConfig } from "../packages/api/dist/config.js";
import { DockerEngine } from "../packages/api/dist/engine/docker-engine.js";
import { uninstallNetwork } from "../packages/api/dist/network/uninstall.js";

try {
  const { dockerHost, namespace, image } = readConfig(process.env);
  await uninstallNetwork(new DockerEngine(dockerHost), namespace, image);
  console.log("The network of the spaces and its rules are gone.");
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
