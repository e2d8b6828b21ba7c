import { isOfEarlierDaemon } from "./process-meta.js";

/** One process of a container, as its node's or the container's own /proc tells. */
export interface ProcessRow {
  pid: number;
  parent: number;
  group: number;
  session: number;
  state: string;
  /** In clock ticks since the machine started. */
  startTicks: number;
  /** The id that CLAWDSPACE_PROCESS_ID holds in its environment, where that can be read. */
  marker: string | undefined;
  /** Whether an earlier run of the daemon waits for it in vain. */
  orphan: boolean;
}

const ENDED = new Set(["Z", "X", "x"]);

/** Reads a /proc/PID/stat, whose second field is a name that may hold anything. undefined where it is none. */
export function parseStat(text: string): Omit<ProcessRow, "pid" | "marker" | "orphan"> | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group, session] = fields;
  const numbers = [parent, group, session, fields[19]].map(Number);
  if (!state || numbers.some((each) => !Number.isSafeInteger(each))) return undefined;
  const [parentPid = 0, groupId = 0, sessionId = 0, startTicks = 0] = numbers;
  return { state, parent: parentPid, group: groupId, session: sessionId, startTicks };
}

/** What a /proc/PID/environ tells of who started the process. */
export function parseEnviron(environ: Buffer | undefined): Pick<ProcessRow, "marker" | "orphan"> {
  const text = environ?.toString("latin1") ?? "";
  const marker = /(?:^|\0)CLAWDSPACE_PROCESS_ID=([0-9a-f]{32})(?:\0|$)/.exec(text)?.[1];
  return { marker, orphan: isOfEarlierDaemon(text) };
}

/**
 * Everything that the process with this id started and that still lives: what carries its marker, what is in such a
 * process's session without a marker of its own, and their children. `leader` is its own pid, where it is known to live.
 */
export function treeOf(id: string, leader: number | undefined, rows: ProcessRow[]): ProcessRow[] {
  const members = new Set<number>();
  const sessions = new Set<number>(leader === undefined ? [] : [leader]);
  for (const row of rows) {
    if (row.marker !== id && row.pid !== leader) continue;
    members.add(row.pid);
    if (row.session === row.pid) sessions.add(row.session);
  }
  for (let size = -1; size !== members.size; ) {
    size = members.size;
    for (const row of rows) {
      // A session's number can have been given anew: another process's marker speaks against it.
      const inSession = row.marker === undefined && sessions.has(row.session);
      if (inSession || members.has(row.parent)) members.add(row.pid);
    }
  }
  return rows.filter((row) => members.has(row.pid) && !ENDED.has(row.state));
}

/** The process itself: of those that carry the marker and lead a session, the one that started first. */
export function leaderOf(id: string, rows: ProcessRow[]): ProcessRow | undefined {
  return rows
    .filter((row) => row.marker === id && row.session === row.pid && !ENDED.has(row.state))
    .sort((a, b) => a.startTicks - b.startTicks)[0];
}
