import { readFile, rm, writeFile } from "node:fs/promises";

/**
 * Makes this process the one that writes a log, until it ends or calls what is returned.
 * Throws where another process that lives has it.
 */
export async function lockFile(path: string): Promise<() => Promise<void>> {
  const mine = `${process.pid} ${await startTime(process.pid)}`;
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, mine, { flag: "wx", mode: 0o600 });
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = await readFile(path, "utf8").catch(() => "");
    const pid = Number(owner.split(" ")[0]);
    if (attempt > 0 || (await isAlive(owner))) {
      throw new Error(
        `Another daemon (process ${pid}) writes this audit log. Stop it, or give this one a CLAWDSPACE_DATA_DIR of its own. (If there is none, remove ${path}.)`,
      );
    }
    await rm(path, { force: true });
  }
}

async function isAlive(owner: string): Promise<boolean> {
  const [pid, since] = owner.split(" ");
  const now = await startTime(Number(pid));
  return now !== undefined && `${now}` === since;
}

/**
 * When a process started, in the system's ticks, since a process id is used again; "alive" where the system doesn't tell.
 * undefined where there is no such process, or one that has ended and was not yet waited for.
 */
async function startTime(pid: number): Promise<string | undefined> {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    if (process.platform === "linux") return undefined;
  }
  try {
    process.kill(pid, 0);
    return "alive";
  } catch {
    return undefined;
  }
}
