import { closeSync, constants, openSync, statSync } from "node:fs";
import { Socket } from "node:net";
import type { GuestPipes, GuestTransport } from "../guest/types.js";
import { cgroupsOf } from "./host-procfs.js";

const { O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * Opens the pipes that a guest has made, through this machine's /proc: what goes through them passes through no engine.
 * Synchronous, since these are files of the kernel's memory and pipes that are opened without waiting.
 * @param containerId the guest's container, to whose cgroup the process has to belong
 * @param pid the container's first process, as the engine tells it
 * @returns undefined where it is not to be seen or opened here: on another machine, without root, or when it has ended
 */
export function openHostPipes(
  containerId: string,
  pid: number,
  pipes: GuestPipes,
): GuestTransport | undefined {
  const opened: number[] = [];
  const open = (path: string, flags: number): number => {
    const fd = openSync(path, flags);
    opened.push(fd);
    return fd;
  };
  try {
    // By this descriptor it stays the process that was looked at, whoever gets its number next.
    const folder = `/proc/self/fd/${open(`/proc/${pid}`, O_RDONLY | O_DIRECTORY)}`;
    if (cgroupsOf(containerId, pid, folder) === undefined) return undefined;
    const [input, output] = [pipes.input, pipes.output].map((fd) => `${folder}/fd/${fd}`);
    // Nothing else is opened: what a guest says of its descriptors may be a lie.
    if (!input || !output || !isPipe(input) || !isPipe(output)) return undefined;
    const [into, from] = [open(input, O_WRONLY | O_NONBLOCK), open(output, O_RDONLY | O_NONBLOCK)];
    const stdin = new Socket({ fd: into, readable: false, writable: true });
    const stdout = new Socket({ fd: from, readable: true, writable: false });
    // They are the sockets' now.
    opened.length = 1;
    const close = (): void => {
      stdin.destroy();
      stdout.destroy();
    };
    return { stdin, stdout, close };
  } catch {
    return undefined;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

const isPipe = (path: string): boolean => statSync(path).isFIFO();
