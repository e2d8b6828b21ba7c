import { readdirSync, readlinkSync } from "node:fs";

/** What a process holds open: paths, "socket:[INODE]", "pipe:[INODE]" and the like. What it closes meanwhile is left out. */
export function descriptorsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`);
    } catch {
      return [];
    }
  });
}

/** Its pipes among them. */
export const pipesOf = (pid: number): string[] =>
  descriptorsOf(pid).filter((target) => target.startsWith("pipe:"));
