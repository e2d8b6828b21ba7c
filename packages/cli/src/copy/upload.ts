import { createReadStream, type Stats } from "node:fs";
import { lstat, readdir, stat } from "node:fs/promises";
import { basename, posix } from "node:path";
import type { Files } from "@clawdspace/client";
import { CliError } from "../failure.js";
import type { Progress } from "./progress.js";
import { pack } from "./tar.js";

/** A file is read in pieces so large that their number costs nothing. */
const READ_BYTES = 512 * 1024;

export interface CopyOptions {
  resume: boolean;
  progress: Progress;
  signal: AbortSignal;
}

export interface Copied {
  entries: number;
  /** Files that were there already. */
  skipped: number;
  /** Entries that could not be read, where that is known. */
  leftOut?: number;
}

/** Copies a local file, a folder, or stdin, into a space. */
export async function upload(
  files: Files,
  from: string,
  to: string,
  options: CopyOptions,
): Promise<Copied> {
  const { progress, signal } = options;
  const target = await typeOf(files, to);
  if (from === "-") {
    if (target === "dir")
      throw new CliError(`${to} is a folder: name the file that stdin goes into.`);
    await files.write(to, progress.count(process.stdin), { signal });
    return { entries: 1, skipped: 0 };
  }
  const contents = /(^|\/)\.$/.test(from);
  const stats = await stat(from).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(error.code === "ENOENT" ? `There is no ${from} here.` : error.message);
  });
  const inside = (target === "dir" && !contents) || to.endsWith("/");
  const place = inside ? posix.join(to, basename(from.replace(/\/+$/, ""))) : to;
  if (stats.isDirectory()) {
    if (target === "file") throw new CliError(`${to} is a file, and ${from} is a folder.`);
    return await uploadFolder(files, from, place, options);
  }
  return await uploadFile(files, from, place, stats, options);
}

async function uploadFile(
  files: Files,
  from: string,
  to: string,
  stats: Stats,
  { resume, progress, signal }: CopyOptions,
): Promise<Copied> {
  if (resume && (await sizeOf(files, to)) === stats.size) return { entries: 0, skipped: 1 };
  progress.expect(stats.size);
  const mode = (stats.mode & 0o777).toString(8).padStart(3, "0");
  const source = createReadStream(from, { highWaterMark: READ_BYTES });
  await files.write(to, progress.count(source), { mode, signal });
  return { entries: 1, skipped: 0 };
}

async function uploadFolder(
  files: Files,
  from: string,
  to: string,
  { resume, progress, signal }: CopyOptions,
): Promise<Copied> {
  const { names, skipped } = resume
    ? await missing(from, await sizesBelow(files, to))
    : { names: await namesIn(from), skipped: 0 };
  await files.mkdir(to);
  if (names.length === 0) return { entries: 0, skipped };
  const listed = Buffer.concat(names.flatMap((name) => [HERE, name, NUL]));
  const archive = pack(from, listed, { deep: !resume });
  const [answer] = await Promise.all([
    files.uploadArchive(to, progress.count(archive.output), { signal }),
    archive.done,
  ]).catch(async (error: unknown) => {
    archive.output.destroy();
    throw error;
  });
  for (const { path, reason } of answer.skipped) {
    process.stderr.write(`clawdspace: ${path} was left out: ${reason}\n`);
  }
  return { entries: answer.entries, skipped };
}

const [HERE, NUL] = [Buffer.from("./"), Buffer.from([0])];

const namesIn = (folder: string) => readdir(Buffer.from(folder), { encoding: "buffer" });

/** What is below a folder, but for the files that are `there` with their size. */
async function missing(folder: string, there: Map<string, number>) {
  const names: Buffer[] = [];
  let skipped = 0;
  for await (const { path, stats } of walk(folder)) {
    if (stats.isFile() && there.get(path.toString("latin1")) === stats.size) skipped += 1;
    else names.push(path);
  }
  return { names, skipped };
}

/** Everything below a folder, by its names' bytes, folders before what is in them; links are not followed. */
async function* walk(folder: string): AsyncGenerator<{ path: Buffer; stats: Stats }> {
  const root = Buffer.from(folder.endsWith("/") ? folder : `${folder}/`);
  const pending: Buffer[] = [Buffer.alloc(0)];
  for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
    const names = await readdir(Buffer.concat([root, below]), { encoding: "buffer" });
    for (const name of names) {
      const path = Buffer.concat([below, name]);
      const stats = await lstat(Buffer.concat([root, path]));
      yield { path, stats };
      if (stats.isDirectory()) pending.push(Buffer.concat([path, Buffer.from("/")]));
    }
  }
}

/** Sizes of the files below a space's folder, by their path's bytes as latin1 text. */
export async function sizesBelow(files: Files, folder: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  if ((await typeOf(files, folder)) !== "dir") return sizes;
  const root = folderBytes(folder);
  const pending: Buffer[] = [root];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for await (const entry of files.entries(at)) {
      const path = entry.pathBase64
        ? Buffer.from(entry.pathBase64, "base64")
        : Buffer.from(entry.path);
      if (entry.type === "dir") pending.push(path);
      if (entry.type === "file")
        sizes.set(path.subarray(root.length).toString("latin1"), entry.size);
    }
  }
  return sizes;
}

/** A folder's path as entries below it begin with it. */
export const folderBytes = (folder: string) =>
  Buffer.from(posix.normalize(folder).replace(/\/*$/, "/"));

/** What a place in a space is, a link's target counted; undefined where nothing is there. */
export async function typeOf(files: Files, path: string): Promise<"dir" | "file" | undefined> {
  if (posix.normalize(path) === "/") return "dir";
  const found = await lookUp(files, path);
  if (found?.type !== "symlink") return found && (found.type === "dir" ? "dir" : "file");
  return await files.list(path, { limit: 1 }).then(
    () => "dir" as const,
    () => "file" as const,
  );
}

async function sizeOf(files: Files, path: string): Promise<number | undefined> {
  const found = await lookUp(files, path);
  return found?.type === "file" ? found.size : undefined;
}

async function lookUp(files: Files, path: string) {
  return await files.stat(path).catch((error: { code?: string }) => {
    if (error.code === "not_found") return undefined;
    throw error;
  });
}
