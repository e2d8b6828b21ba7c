import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, posix } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Files } from "@clawdspace/client";
import { CliError } from "../failure.js";
import { write } from "../output.js";
import { unpack } from "./tar.js";
import { type Copied, type CopyOptions, folderBytes, sizesBelow, typeOf } from "./upload.js";

/** Copies a file or a folder of a space here, or to stdout. */
export async function download(
  files: Files,
  from: string,
  to: string,
  options: CopyOptions,
): Promise<Copied> {
  const source = await typeOf(files, from);
  if (source === undefined) throw new CliError(`There is no ${from} in the space.`);
  if (to === "-") return await toStdout(files, from, source, options);
  const contents = /(^|\/)\.$/.test(from);
  const local = await stat(to).catch(() => undefined);
  const name = basename(posix.normalize(from));
  const inside = local?.isDirectory() === true && !contents;
  const place = inside ? join(to, name || "workspace") : to;
  if (source === "dir") return await downloadFolder(files, from, place, options);
  if (to.endsWith("/") && !local) throw new CliError(`There is no folder ${to} here.`);
  const folder = dirname(to);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new CliError(`There is no folder ${folder} here.`, { hint: `mkdir -p ${folder}` });
  }
  return await downloadFile(files, from, place, options);
}

async function toStdout(
  files: Files,
  from: string,
  type: "dir" | "file",
  { progress, signal }: CopyOptions,
): Promise<Copied> {
  const { pieces } =
    type === "dir"
      ? await files.downloadArchive(from, { signal })
      : await files.stream(from, { signal });
  for await (const piece of progress.count(pieces)) await write(process.stdout, piece);
  return { entries: 1, skipped: 0 };
}

/** Written beside its place under another name first, so that a copy that breaks off leaves no half of a file. */
async function downloadFile(
  files: Files,
  from: string | Uint8Array,
  to: string | Buffer,
  { resume, progress, signal }: CopyOptions,
): Promise<Copied> {
  const { size, pieces } = await files.stream(from, { signal });
  if (resume && size !== undefined) {
    const local = await stat(to).catch(() => undefined);
    if (local?.isFile() && local.size === size) {
      await pieces[Symbol.asyncIterator]().return?.();
      return { entries: 0, skipped: 1 };
    }
  }
  progress.expect(size);
  const draft = Buffer.concat([Buffer.from(to), Buffer.from(`.${randomBytes(4).toString("hex")}`)]);
  try {
    const source = Readable.from(progress.count(pieces), { objectMode: false });
    await pipeline(source, createWriteStream(draft, { flags: "wx" }));
    await rename(draft, to);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return { entries: 1, skipped: 0 };
}

async function downloadFolder(
  files: Files,
  from: string,
  to: string,
  options: CopyOptions,
): Promise<Copied> {
  await mkdir(to, { recursive: true });
  if (options.resume) return await downloadMissing(files, from, to, options);
  const { pieces, leftOut } = await files.downloadArchive(from, { signal: options.signal });
  const archive = unpack(to);
  const source = Readable.from(options.progress.count(pieces), { objectMode: false });
  await Promise.all([pipeline(source, archive.input), archive.done]).catch(
    async (error: unknown) => {
      // tar's own reason tells more than the pipe that it closed.
      await archive.done;
      throw error;
    },
  );
  const lost = leftOut();
  return { entries: 1, skipped: 0, ...(lost ? { leftOut: lost } : {}) };
}

/** One by one those files that are not here with their size. */
async function downloadMissing(
  files: Files,
  from: string,
  to: string,
  options: CopyOptions,
): Promise<Copied> {
  const [root, here] = [folderBytes(from), Buffer.from(`${to}/`)];
  let [entries, skipped] = [0, 0];
  for (const path of (await sizesBelow(files, from)).keys()) {
    const below = Buffer.from(path, "latin1");
    const place = Buffer.concat([here, below]);
    const folder = dirname(place.toString("latin1"));
    await mkdir(Buffer.from(folder, "latin1"), { recursive: true });
    const copied = await downloadFile(files, Buffer.concat([root, below]), place, options);
    entries += copied.entries;
    skipped += copied.skipped;
  }
  return { entries, skipped };
}
