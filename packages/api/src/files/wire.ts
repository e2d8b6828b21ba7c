import { isUtf8 } from "node:buffer";
import type { FileEntry, FileStat, FileWritten } from "@clawdspace/protocol";
import type { FileFacts } from "./space-files.js";
import type { WorkspacePath } from "./workspace-path.js";

/** Permissions as the wire writes them: "644". */
export const formatMode = (mode: number) => (mode & 0o777).toString(8).padStart(3, "0");

/** The option that a mode of the wire becomes; none where it is not given. */
export const parseMode = (mode: string | undefined) =>
  mode === undefined ? {} : { mode: Number.parseInt(mode, 8) };

/** An entry as a listing tells it. */
export function toEntry(path: WorkspacePath, facts: FileFacts, target?: Buffer): FileEntry {
  const { name } = path;
  return {
    name: name.toString("utf8"),
    ...(isUtf8(name) ? {} : { nameBase64: name.toString("base64") }),
    ...path.toFields(),
    type: facts.type,
    size: facts.size,
    mtimeMs: Math.floor(facts.mtimeMs),
    mode: formatMode(facts.mode),
    ...(target ? { target: target.toString("utf8") } : {}),
  };
}

export function toFileStat(path: WorkspacePath, facts: FileFacts, target?: Buffer): FileStat {
  return {
    ...toEntry(path, facts, target),
    ...(facts.uid === undefined ? {} : { uid: facts.uid }),
    ...(facts.gid === undefined ? {} : { gid: facts.gid }),
    ...(facts.etag === undefined ? {} : { etag: facts.etag }),
  };
}

/** What is answered to a write. */
export function written(path: WorkspacePath, facts: FileFacts): FileWritten {
  return {
    message: `Wrote ${path}`,
    ...path.toFields(),
    size: facts.size,
    ...(facts.etag ? { etag: facts.etag } : {}),
  };
}
