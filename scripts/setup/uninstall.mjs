import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readConfig } from "../../packages/api/dist/config.js";
import { DockerEngine } from "../../packages/api/dist/engine/docker-engine.js";
import { uninstallNetwork } from "../../packages/api/dist/network/uninstall.js";
import { nameClaimedVolumes } from "../../packages/api/dist/pool/uninstall.js";
import { SetupError } from "./setup-error.mjs";

const NAMESPACE_LABEL = "clawdspace.namespace";
const BACKING_LABEL = "clawdspace.backing";
/** Of the folder with the command line's profiles, what is the daemon's. */
const DAEMON_CONFIG = ["api-key", "keys.json", "sessions.json"];

/**
 * Removes what the daemon of this user has made: spaces, their network and rules, keys; with `volumes` their files too.
 * The daemon must have ended.
 * @param {{ volumes: boolean, config: string, data: string }} options folders of the daemon
 * @returns what was removed and what was left, for people
 */
export async function uninstall({ volumes, config, data }) {
  const { dockerHost, namespace, image, configDir } = readConfig({
    ...process.env,
    CLAWDSPACE_CONFIG_DIR: config,
  });
  const engine = new DockerEngine(dockerHost);
  const ours = { [NAMESPACE_LABEL]: namespace };
  const containers = await engine.listContainers(ours).catch((error) => {
    throw new SetupError(`The engine at ${dockerHost} can't be asked: ${error.message}`);
  });
  if (!volumes) await nameClaimedVolumes(engine, namespace, containers, data);
  await Promise.all(containers.map(({ id }) => engine.removeContainer(id)));
  const there = await engine.listVolumes(ours);
  const all = there.map(({ name }) => name);
  const workspaces = all.filter((name) => name.startsWith(`${namespace}-vol-`));
  // The files of a space that came from the pool are in another volume than the one it is known by.
  const behind = new Set(there.map(({ labels }) => labels[BACKING_LABEL]));
  const isKept = (name) => workspaces.includes(name) || behind.has(name);
  const gone = volumes ? all : all.filter((name) => !isKept(name));
  for (const name of gone) await engine.removeVolume(name);
  await uninstallNetwork(engine, namespace, image);

  const removed = [
    `${count(containers.length, "container")} of spaces`,
    `${count(gone.length, "volume")}`,
    "the network of the spaces and its rules",
  ];
  const left = [];
  for (const name of DAEMON_CONFIG.map((each) => join(configDir, each)).filter(existsSync)) {
    rmSync(name);
    removed.push(name);
  }
  if (existsSync(configDir) && readdirSync(configDir).length === 0)
    rmSync(configDir, { recursive: true });
  else if (existsSync(configDir)) left.push(`${configDir} (profiles of the command line)`);
  if (volumes && existsSync(data)) {
    rmSync(data, { recursive: true, force: true });
    removed.push(data);
  } else if (existsSync(data)) left.push(`${data} (templates, audit log, and files of spaces)`);
  const kept = workspaces.filter((name) => !gone.includes(name));
  if (kept.length > 0) left.push(`${count(kept.length, "volume")}: ${kept.join(", ")}`);
  left.push("the sandbox image and the Docker Engine", "this program: npm uninstall -g clawdspace");
  const spaces = containers.map(({ name }) => name);
  return { spaces, volumes: gone, keptVolumes: kept, removed, left };
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
