import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { canInstall } from "./apt.mjs";
import { connectionOptions, knownSockets } from "./engine-address.mjs";
import { DEFAULT_ENGINE, startEngine } from "./engine-daemon.mjs";
import { pingEngine } from "./engine-http.mjs";
import { installEngine, mayInstall } from "./engine-install.mjs";
import { asRoot, authorize, canBecomeRoot, findProgram, isRoot } from "./root.mjs";
import { run } from "./run.mjs";
import { SetupError } from "./setup-error.mjs";

const THREE_WAYS = `No Docker Engine was found. Three ways to get one:
  1. Install it:           sudo apt-get install docker.io   (Debian or Ubuntu; elsewhere see https://docs.docker.com/engine/install/)
  2. Start the one here:   sudo systemctl start docker      (or, without systemd: sudo dockerd)
  3. Use another:          DOCKER_HOST=unix:///path/to/docker.sock npm start   (rootless Docker, Podman's socket, or tcp://host:2375)`;

/**
 * Finds an engine that answers, or starts or installs one.
 * @param {import("./steps.mjs").StepContext} context
 * @returns {Promise<{ address: string, detail: string, startedDirectly: boolean, needsGroup: boolean }>}
 *   `needsGroup`: it runs, and this user was just let into the group that may open its socket
 * @throws {SetupError} with the ways to get an engine
 */
export async function ensureEngine({ progress, ask, suspend }) {
  if (process.env.DOCKER_HOST) return chosenEngine(process.env.DOCKER_HOST);

  progress("looking for one");
  const found = await firstAnswering(candidates());
  if (found.engine) return found.engine;
  if (found.forbidden) return letIn(found.forbidden, false, suspend);

  if (findProgram("dockerd") === undefined) {
    if (!canInstall() || !(await mayInstall(ask))) throw new SetupError(THREE_WAYS);
    await authorize(suspend);
    await installEngine(progress);
  } else {
    if (!canBecomeRoot()) throw new SetupError(THREE_WAYS);
    await authorize(suspend);
  }

  const { startedDirectly } = await startEngine(progress);
  const answer = await pingEngine(DEFAULT_ENGINE);
  if (!answer.ok) return letIn(DEFAULT_ENGINE, startedDirectly, suspend);
  return engine(DEFAULT_ENGINE, answer.version, startedDirectly);
}

/** An engine that was named is used or missed, never silently another. */
async function chosenEngine(address) {
  connectionOptions(address);
  const answer = await pingEngine(address);
  if (answer.ok)
    return engine(address.startsWith("/") ? `unix://${address}` : address, answer.version);
  throw new SetupError(
    `DOCKER_HOST is "${address}", but no engine answers there: ${answer.reason}. ` +
      "Start that engine, correct DOCKER_HOST, or unset it to use the engine of this machine.",
  );
}

function candidates() {
  const uid = process.getuid?.();
  const runtimeDir = process.env.XDG_RUNTIME_DIR ?? (uid ? `/run/user/${uid}` : undefined);
  return knownSockets({ runtimeDir, home: process.env.HOME });
}

async function firstAnswering(addresses) {
  const answers = await Promise.all(addresses.map((address) => pingEngine(address)));
  const first = answers.findIndex((answer) => answer.ok);
  if (first >= 0) return { engine: engine(addresses[first], answers[first].version) };
  const forbidden = answers.findIndex((answer) => answer.code === "EACCES");
  return { forbidden: addresses[forbidden] };
}

function engine(address, version, startedDirectly = false) {
  const socket = address.replace("unix://", "");
  return { address, detail: `${version} at ${socket}`, startedDirectly, needsGroup: false };
}

/**
 * The engine runs, but its socket is for root and the group docker. A user who may use sudo may
 * join that group, which a process that already runs does not notice.
 */
async function letIn(address, startedDirectly, suspend) {
  const { username } = userInfo();
  const member = groupMembers("docker").includes(username);
  if (!member) {
    const remedy = `sudo usermod -aG docker ${username}`;
    if (isRoot() || !canBecomeRoot() || address !== DEFAULT_ENGINE || !groupExists("docker")) {
      throw new SetupError(
        `The Docker Engine at ${address} runs, but ${username} may not use it. Run: ${remedy} ` +
          "and log in again.",
      );
    }
    await authorize(suspend);
    await run(asRoot(["usermod", "-aG", "docker", username]), { what: remedy });
  }
  return { address, detail: `at ${address}`, startedDirectly, needsGroup: true };
}

function groupLine(name) {
  return readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((line) => line.startsWith(`${name}:`));
}

const groupExists = (name) => groupLine(name) !== undefined;
const groupMembers = (name) => groupLine(name)?.split(":")[3]?.split(",") ?? [];
