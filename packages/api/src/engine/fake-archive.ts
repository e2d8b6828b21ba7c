import {
  chmod,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { posix } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { extract, type Header, type Pack, pack } from "tar-stream";
import { EngineError, type PathStat } from "./engine.js";

const MAX_LINKS = 40;

/** Finds where a path of a container lies on this machine; mounts lie elsewhere than the container's root. */
export class FakeTree {
  /** @param mounts container path → folder of this machine; "/" is the root. */
  constructor(private readonly mounts: ReadonlyMap<string, string>) {}

  /** Follows symlinks as inside the container, so that none leads out of it. `followLast` says whether a final one is. */
  async resolve(path: string, followLast: boolean): Promise<{ inside: string; host: string }> {
    let inside = "/";
    const left = path.split("/").filter((part) => part !== "" && part !== ".");
    for (let links = 0; left.length > 0; ) {
      const part = left.shift() ?? "";
      const next = posix.join(inside, part);
      const target =
        left.length > 0 || followLast
          ? await readlink(this.#host(next)).catch(() => undefined)
          : undefined;
      if (target === undefined) {
        inside = next;
        continue;
      }
      if (++links > MAX_LINKS) throw new EngineError("failed", `${path}: too many links`);
      if (target.startsWith("/")) inside = "/";
      left.unshift(...target.split("/").filter((each) => each !== "" && each !== "."));
    }
    return { inside, host: this.#host(inside) };
  }

  #host(inside: string): string {
    let best = "/";
    for (const target of this.mounts.keys()) {
      if ((inside === target || inside.startsWith(`${target}/`)) && target.length > best.length)
        best = target;
    }
    return posix.join(this.mounts.get(best) ?? "", inside.slice(best === "/" ? 0 : best.length));
  }
}

export async function fakeStat(tree: FakeTree, path: string): Promise<PathStat | undefined> {
  const { inside, host } = await tree.resolve(path, path.endsWith("/"));
  const stat = await lstat(host).catch(() => undefined);
  if (!stat) return undefined;
  const link = stat.isSymbolicLink() ? (await tree.resolve(inside, true)).inside : undefined;
  return {
    name: posix.basename(inside),
    size: stat.size,
    type: link ? "symlink" : stat.isDirectory() ? "dir" : stat.isFile() ? "file" : "other",
    mode: stat.mode & 0o777,
    mtime: stat.mtime,
    linkTarget: link,
  };
}

/** The tar stream of a file or folder; undefined where there is none. */
export async function fakeRead(tree: FakeTree, path: string): Promise<Readable | undefined> {
  const { inside, host } = await tree.resolve(path, path.endsWith("/"));
  if (!(await lstat(host).catch(() => undefined))) return undefined;
  const archive = pack();
  void packTree(archive, host, posix.basename(inside) || ".").then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  );
  return Readable.from(archive, { objectMode: false });
}

async function packTree(archive: Pack, host: string, name: string): Promise<void> {
  const stat = await lstat(host);
  const header = {
    name,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: stat.mtime,
  };
  if (stat.isSymbolicLink()) {
    archive.entry({ ...header, type: "symlink", linkname: await readlink(host) });
  } else if (stat.isDirectory()) {
    archive.entry({ ...header, name: `${name}/`, type: "directory" });
    for (const each of await readdir(host))
      await packTree(archive, `${host}/${each}`, `${name}/${each}`);
  } else if (stat.isFile()) {
    archive.entry(header, await readFile(host));
  }
}

/** Unpacks into a folder of the container. Rejects where an entry would put a folder in a file's place, or the other way. */
export async function fakeWrite(
  tree: FakeTree,
  folder: string,
  tar: Readable | Buffer,
): Promise<void> {
  const entries = extract();
  if (Buffer.isBuffer(tar)) entries.end(tar);
  else tar.on("error", (error) => entries.destroy(error)).pipe(entries);
  for await (const entry of entries) {
    const data = await buffer(entry);
    const { host } = await tree.resolve(posix.join(folder, entry.header.name), false);
    await writeEntry(host, entry.header, data);
  }
}

async function writeEntry(host: string, header: Header, data: Buffer): Promise<void> {
  const before = await lstat(host).catch(() => undefined);
  const folder = header.type === "directory";
  if (before && before.isDirectory() !== folder) {
    throw new Error(
      folder
        ? "cannot overwrite non-directory with directory"
        : "cannot overwrite directory with non-directory",
    );
  }
  await mkdir(posix.dirname(host), { recursive: true });
  if (folder) {
    await mkdir(host, { recursive: true });
  } else {
    await rm(host, { force: true });
    if (header.type === "symlink") await symlink(header.linkname ?? "", host);
    else await writeFile(host, data);
  }
  // Only root may give files away; elsewhere they stay this user's.
  if (process.getuid?.() === 0) await lchown(host, header.uid ?? 0, header.gid ?? 0);
  if (header.type === "symlink") return;
  await chmod(host, header.mode ?? 0o644);
  if (header.mtime) await utimes(host, header.mtime, header.mtime);
}
