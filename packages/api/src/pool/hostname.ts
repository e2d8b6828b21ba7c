import { type ChildProcessByStdio, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { ContainerDetails } from "../engine/engine.js";

const HOSTNAME = /^[a-zA-Z0-9-]+$/;
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;

/** Gives running containers other host names, which engines can't. */
export class Hostnames {
  readonly #shell = new StandbyShell();

  /**
   * Names a container in its kernel's eyes and in the two files that the engine keeps for it on its node. Only where the
   * daemon is root on that node; elsewhere the name stays. Returns whether the container has the name now.
   */
  async set(details: ContainerDetails, hostname: string): Promise<boolean> {
    const { id, pid, hostnameFile, hostsFile } = details;
    if (process.getuid?.() !== 0 || pid <= 0 || !HOSTNAME.test(hostname)) return false;
    try {
      // The pid comes from the engine's machine; that its cgroup names the container proves that it is this one.
      if (!(await readFile(`/proc/${pid}/cgroup`, "latin1")).includes(id)) return false;
      const renamed = this.#shell.run(
        `nsenter --target ${pid} --uts sh -c 'printf %s ${hostname} >/proc/sys/kernel/hostname'`,
      );
      const before = (await readFile(hostnameFile, "utf8")).trim();
      const hosts = await readFile(hostsFile, "utf8");
      // Written in place: the container sees these very files.
      await writeFile(hostsFile, renameHost(hosts, before, hostname));
      await writeFile(hostnameFile, `${hostname}\n`);
      return await renamed;
    } catch {
      return false;
    }
  }
}

/** A shell that waits for commands: to start one from a process as large as the daemon takes longer than what it is for. */
class StandbyShell {
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #waiting: ((succeeded: boolean) => void)[] = [];

  /** Runs a command of one line; commands run in the order in which they come. Resolves to whether it succeeded. */
  run(command: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.#child ??= this.#start();
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${command} </dev/null >/dev/null 2>&1; echo $?\n`);
    });
  }

  #start() {
    const child = spawn("sh", ["-s"], { env: { PATH }, stdio: ["pipe", "pipe", "ignore"] });
    const gone = () => {
      if (this.#child !== child) return;
      this.#child = undefined;
      for (const tell of this.#waiting.splice(0)) tell(false);
    };
    child.on("error", gone);
    child.on("close", gone);
    child.stdin.on("error", () => {});
    createInterface(child.stdout).on("line", (code) => this.#waiting.shift()?.(code === "0"));
    // It ends with the daemon, and keeps that from ending no longer than a command takes.
    child.unref();
    (child.stdin as Socket).unref();
    (child.stdout as Socket).unref();
    return child;
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
