import type { Observability } from "@clawdspace/protocol";
import type { Engine } from "../engine/engine.js";
import type { Guest } from "../guest/types.js";
import { SANDBOX_USER, WORKSPACE } from "../spaces/container-spec.js";

const WALK_MS = 1000;
const MAX_ENTRIES = 200_000;
const FOLDERS_AT_ONCE = 16;
const COMMAND_MS = 2000;

export type WorkspaceUse = Pick<Observability, "workspaceDisk" | "workspaceSizeBytes">;

/** How full the file system is that the workspace lies on, and how much of it is the workspace's. */
export async function guestWorkspaceUse(guest: Guest, ownDisk: boolean): Promise<WorkspaceUse> {
  const { totalBytes, freeBytes, availableBytes } = await guest.files.statvfs();
  const disk = toDisk(totalBytes, totalBytes - freeBytes, availableBytes);
  const size = ownDisk ? totalBytes - freeBytes : await sizeOf(guest);
  return { workspaceDisk: disk, ...(size === undefined ? {} : { workspaceSizeBytes: size }) };
}

/** The bytes of all files below /workspace; undefined where there are too many to count for a look. */
async function sizeOf({ files }: Pick<Guest, "files">): Promise<number | undefined> {
  const until = Date.now() + WALK_MS;
  const waiting: Buffer[] = [Buffer.from(".")];
  let size = 0;
  let seen = 0;
  const walk = async (folder: Buffer) => {
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await files
        .list(folder, { limit: 4000, ...(cursor === undefined ? {} : { cursor }) })
        // A folder may go, or be closed to us, while it is counted.
        .catch(() => ({ entries: [], cursor: undefined }));
      seen += page.entries.length;
      for (const { name, type, size: bytes } of page.entries) {
        if (type === "dir") waiting.push(Buffer.concat([folder, Buffer.from("/"), name]));
        else size += bytes;
      }
      cursor = page.cursor;
      if (Date.now() > until || seen > MAX_ENTRIES) return;
    }
  };
  while (waiting.length > 0) {
    if (Date.now() > until || seen > MAX_ENTRIES) return undefined;
    await Promise.all(waiting.splice(0, FOLDERS_AT_ONCE).map(walk));
  }
  return size;
}

/** The same where there is no guest agent, by the image's own tools; what they don't tell is left out. */
export async function commandWorkspaceUse(engine: Engine, id: string): Promise<WorkspaceUse> {
  const seconds = COMMAND_MS / 1000;
  const script = `df -Pk ${WORKSPACE}; timeout ${seconds} du -skx ${WORKSPACE}`;
  const output = await outputOf(engine, id, script).catch(() => "");
  const [, total, used, available] = /\s(\d+)\s+(\d+)\s+(\d+)\s+\d+%\s/.exec(output) ?? [];
  const size = new RegExp(`^(\\d+)\\s+${WORKSPACE}$`, "m").exec(output)?.[1];
  return {
    ...(total && used && available
      ? { workspaceDisk: toDisk(kib(total), kib(used), kib(available)) }
      : {}),
    ...(size === undefined ? {} : { workspaceSizeBytes: kib(size) }),
  };
}

async function outputOf(engine: Engine, id: string, script: string): Promise<string> {
  const exec = await engine.exec(id, {
    argv: ["/bin/sh", "-c", script],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    cwd: "/",
    user: SANDBOX_USER,
    stdin: false,
  });
  const timer = setTimeout(() => exec.close(), COMMAND_MS * 2);
  let text = "";
  try {
    for await (const { stream, data } of exec.output) {
      if (stream === "stdout" && text.length < 4096) text += data.toString("latin1");
    }
  } finally {
    clearTimeout(timer);
    exec.close();
  }
  return text;
}

const kib = (text: string) => Number(text) * 1024;

const toDisk = (totalBytes: number, usedBytes: number, availBytes: number) => ({
  path: WORKSPACE,
  totalBytes,
  usedBytes,
  availBytes,
  usedPercent: Math.round((10_000 * usedBytes) / Math.max(1, usedBytes + availBytes)) / 100,
});
