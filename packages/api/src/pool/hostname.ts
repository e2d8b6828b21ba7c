import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { ContainerDetails } from "../engine/engine.js";

const exec = promisify(execFile);
const SET = 'printf %s "$1" >/proc/sys/kernel/hostname';

/**
 * Gives a running container another host name, which engines can't: in its kernel's eyes and in the two files that the
 * engine keeps for it on its node. Only where the daemon is root on that node; elsewhere the name stays.
 * Returns whether the container has the name now.
 */
export async function setHostname(details: ContainerDetails, hostname: string): Promise<boolean> {
  const { id, pid, hostnameFile, hostsFile } = details;
  if (process.getuid?.() !== 0 || pid <= 0) return false;
  try {
    // The pid comes from the engine's machine; that its cgroup names the container proves that it is this one.
    if (!(await readFile(`/proc/${pid}/cgroup`, "latin1")).includes(id)) return false;
    const uts = ["--target", `${pid}`, "--uts", "sh", "-c", SET, "sh", hostname];
    const renamed = exec("nsenter", uts);
    const before = (await readFile(hostnameFile, "utf8")).trim();
    const hosts = await readFile(hostsFile, "utf8");
    // Written in place: the container sees these very files.
    await writeFile(hostsFile, renameHost(hosts, before, hostname));
    await writeFile(hostnameFile, `${hostname}\n`);
    await renamed;
    return true;
  } catch {
    return false;
  }
}

/** The text of a hosts file in which one host is called otherwise. */
export function renameHost(hosts: string, from: string, to: string): string {
  return hosts
    .split("\n")
    .map((line) => {
      if (line.startsWith("#")) return line;
      return line.replace(/\S+/g, (word, at: number) => (at > 0 && word === from ? to : word));
    })
    .join("\n");
}
