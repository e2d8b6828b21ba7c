import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { paths, readOptional } from "./config-file.js";

const END_MS = 15_000;

const pidFile = () => join(paths().data, "daemon.pid");

/** Where a daemon that runs in the background writes what it says. */
export const logFile = () => join(paths().data, "daemon.log");

/** Notes that this process is the daemon, for `down` to find. */
export function noteDaemon(): void {
  const file = pidFile();
  mkdirSync(paths().data, { recursive: true, mode: 0o700 });
  writeFileSync(file, `${process.pid} ${startOf(process.pid) ?? ""}\n`, { mode: 0o600 });
  process.on("exit", () => {
    if (readOptional(file)?.startsWith(`${process.pid} `)) rmSync(file, { force: true });
  });
}

/** The process of the daemon that `up` runs; undefined where there is none. A number that another process has now is none. */
export function daemonPid(): number | undefined {
  const [pid, started = ""] = (readOptional(pidFile()) ?? "").trim().split(" ");
  if (!pid || !isAlive(Number(pid))) return undefined;
  const now = startOf(Number(pid));
  return now === undefined || started === "" || now === started ? Number(pid) : undefined;
}

/** Asks it to end, and waits. @returns whether it has */
export async function endDaemon(pid: number): Promise<boolean> {
  process.kill(pid, "SIGTERM");
  const until = Date.now() + END_MS;
  while (isAlive(pid) && Date.now() < until) await delay(50);
  return !isAlive(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return readState(pid)?.[0] !== "Z";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When a process was started, in the kernel's own count: with its number it names one process for good. */
const startOf = (pid: number) => readState(pid)?.[19];

/** The fields of /proc/PID/stat after the program's name, the first being the state. */
function readState(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
