import { existsSync, readFileSync } from "node:fs";
import { pingEngine } from "./engine-http.mjs";
import { asRoot, findProgram, isRoot } from "./root.mjs";
import { excerpt, run, tryRun } from "./run.mjs";
import { SetupError } from "./setup-error.mjs";

export const DEFAULT_ENGINE = "unix:///var/run/docker.sock";
const PID_FILE = "/var/run/docker.pid";
const LOG_FILE = "/var/log/dockerd.log";
const READY_WITHIN_MS = 60_000;
const STOPS_WITHIN_MS = 30_000;

export function hasSystemd() {
  return processName(1) === "systemd";
}

function processName(pid) {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** @returns {number | undefined} the engine's process, by its pid file checked against /proc */
export function enginePid() {
  const pid = existsSync(PID_FILE) ? Number(readFileSync(PID_FILE, "utf8")) : Number.NaN;
  return Number.isInteger(pid) && processName(pid) === "dockerd" ? pid : undefined;
}

/**
 * Starts the installed engine, by systemd where that is in charge, else directly in a session of
 * its own, and waits until it answers.
 * @param {(text: string) => void} progress
 * @returns {Promise<{ address: string, startedDirectly: boolean }>}
 */
export async function startEngine(progress) {
  progress("starting it");
  const systemd = hasSystemd();
  if (systemd)
    await run(asRoot(["systemctl", "start", "docker"]), { what: "systemctl start docker" });
  else if (enginePid() === undefined) await startDirectly();
  await waitUntilReady(progress, systemd);
  return { address: DEFAULT_ENGINE, startedDirectly: !systemd };
}

async function startDirectly() {
  const dockerd = findProgram("dockerd");
  // A pid file left by an engine that was killed may name a process that is now another: dockerd
  // would take that for itself and refuse to start.
  const script = [
    `rm -f ${PID_FILE}`,
    "cd /",
    `exec setsid --fork "${dockerd}" </dev/null >>${LOG_FILE} 2>&1`,
  ].join("\n");
  await run(asRoot(["sh", "-c", script]), { what: "starting dockerd" });
}

async function waitUntilReady(progress, systemd) {
  const started = Date.now();
  for (;;) {
    const answer = await pingEngine(DEFAULT_ENGINE);
    if (answer.ok) return;
    // It runs, and only this user may not open its socket: not for waiting to change.
    if (answer.code === "EACCES") return;
    const waited = Date.now() - started;
    const gone = !systemd && waited > 2_000 && enginePid() === undefined;
    if (gone || waited > READY_WITHIN_MS) {
      throw new SetupError(`The Docker Engine did not start.\n\n${await engineLog(systemd)}`);
    }
    progress(`waiting for it to answer`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function engineLog(systemd) {
  const command = systemd
    ? ["journalctl", "--no-pager", "-n", "25", "-u", "docker"]
    : ["tail", "-n", "25", LOG_FILE];
  const { output } = await tryRun(isRoot() ? command : asRoot(command));
  return `${systemd ? "journalctl -u docker" : LOG_FILE} ends with:\n${excerpt(output)}`;
}

/** Ends an engine that `startEngine` started directly, and waits until it is gone. */
export async function stopEngine() {
  const pid = enginePid();
  if (pid === undefined) return;
  await run(asRoot(["kill", "-TERM", String(pid)]), { what: "stopping dockerd" });
  const started = Date.now();
  while (processName(pid) === "dockerd") {
    if (Date.now() - started > STOPS_WITHIN_MS) {
      throw new SetupError(`dockerd (pid ${pid}) does not stop; its log is ${LOG_FILE}.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
