import { randomBytes } from "node:crypto";
import { PassThrough, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { Engine } from "../engine/engine.js";
import {
  GuestError,
  type GuestFileWriter,
  type GuestReadOptions,
  type GuestStat,
  type GuestWriteOptions,
} from "../guest/types.js";
import type { KeyedLock } from "../spaces/keyed-lock.js";
import { ArchiveEntries } from "./archive-entries.js";
import { archiveTree } from "./archive-tree.js";
import { EngineCommand } from "./engine-command.js";
import { feed } from "./engine-feed.js";
import { escapeBytes, etagOf, parseFacts, parseListing, pathArguments } from "./engine-output.js";
import type { SpaceFiles, TreeEntry, TreeOptions } from "./space-files.js";
import { quiet } from "./streams.js";

const MARK_BYTES = 16;
const MAX_ANSWER_BYTES = 16 * 1024;
/** A listing is held in memory as a whole before it is cut into pages. */
const MAX_LISTING_BYTES = 64 * 1024 ** 2;
const DEFAULT_PAGE = 1000;

const yesNo = (value: boolean) => (value ? "yes" : "no");
const octal = (mode: number | undefined) => (mode === undefined ? "-" : mode.toString(8));
const temporaryName = () => `.clawd-tmp-${randomBytes(8).toString("hex")}`;

/** The files of an awake space without a guest agent, by commands that the engine runs as the space's user. */
export class EngineFiles implements SpaceFiles {
  constructor(
    private readonly engine: Engine,
    private readonly containerId: string,
    private readonly writes: KeyedLock,
  ) {}

  async stat(path: Buffer, options: { followLinks?: boolean } = {}): Promise<GuestStat> {
    return parseFacts(await this.#line(options.followLinks ? "stat_followed" : "stat", path));
  }

  async list(path: Buffer, options: { cursor?: string; limit?: number } = {}) {
    const output = await this.#run("list", [escapeBytes(path)], MAX_LISTING_BYTES);
    const after = options.cursor === undefined ? undefined : Buffer.from(options.cursor, "base64");
    const entries = parseListing(output)
      .filter(({ name }) => !after || Buffer.compare(name, after) > 0)
      .sort((a, b) => Buffer.compare(a.name, b.name));
    const limit = options.limit ?? DEFAULT_PAGE;
    const last = entries.length > limit ? entries[limit - 1] : undefined;
    return last
      ? { entries: entries.slice(0, limit), cursor: last.name.toString("base64") }
      : { entries };
  }

  async read(path: Buffer, options: GuestReadOptions = {}) {
    const { offset = 0, length, ifMatch, signal } = options;
    signal?.throwIfAborted();
    const range = [`${offset}`, length === undefined ? "-" : `${length}`];
    const command = await this.#start("read", [...pathArguments(path), ...range]);
    const output = command.output();
    const { line, rest } = await takeLine(output);
    const stat = parseFacts(line);
    if (ifMatch !== undefined && ifMatch !== stat.etag) {
      command.close();
      throw new GuestError("precondition", "the file is another one by now");
    }
    const stream = quiet(Readable.from(prepend(rest, output), { objectMode: false }));
    const abort = () => stream.destroy(new GuestError("aborted", "the read was given up"));
    signal?.addEventListener("abort", abort, { once: true });
    stream.once("close", () => {
      signal?.removeEventListener("abort", abort);
      command.close();
    });
    return { stat, stream };
  }

  async readAll(path: Buffer, options: { maxBytes: number; signal?: AbortSignal }) {
    const { stat, stream } = await this.read(path, {
      length: options.maxBytes,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const data = await buffer(stream);
    return { stat, data, truncated: stat.size > data.length };
  }

  async *tree(
    path: Buffer,
    { contents, signal, onLeftOut }: TreeOptions,
  ): AsyncGenerator<TreeEntry> {
    if (!contents) {
      const listing = await this.#run("walk", [escapeBytes(path)], MAX_LISTING_BYTES);
      for (const { name, ...facts } of parseListing(listing)) {
        yield { path: name, facts, open: () => Promise.reject(new Error("contents: false")) };
      }
      return;
    }
    const command = await this.#start("archive", [escapeBytes(path)]);
    const source = quiet(Readable.from(command.output(), { objectMode: false }));
    const archive = new ArchiveEntries(source, { filenameEncoding: "latin1" });
    const bytesOf = (text: string) => Buffer.from(text, "latin1");
    try {
      for await (const entry of archiveTree(archive, {
        files: this,
        folder: path,
        root: "./",
        bytesOf,
      })) {
        signal.throwIfAborted();
        yield entry;
      }
      for (const _ of command.stderr.matchAll(/Permission denied/g)) onLeftOut();
    } finally {
      archive.close();
      command.close();
    }
  }

  async readlink(path: Buffer): Promise<Buffer> {
    return await this.#run("readlink", pathArguments(path));
  }

  write(path: Buffer, options: GuestWriteOptions = {}): GuestFileWriter {
    const stream = quiet(new PassThrough());
    const result = this.#write(path, stream, options);
    // Whoever pipes into it learns of a failure by the stream.
    result.catch((error: Error) => stream.destroy(error));
    return { stream, result };
  }

  async writeAll(path: Buffer, data: Buffer, options: GuestWriteOptions = {}): Promise<GuestStat> {
    return await this.#write(path, Readable.from([data], { objectMode: false }), options);
  }

  async mkdir(path: Buffer, options: { mode?: number; parents?: boolean } = {}): Promise<void> {
    const rest = [octal(options.mode), yesNo(options.parents ?? true)];
    await this.#run("mkdir", [...pathArguments(path), ...rest]);
  }

  async rename(from: Buffer, to: Buffer, options: { overwrite?: boolean } = {}): Promise<void> {
    const overwrite = yesNo(options.overwrite ?? true);
    await this.#run("rename", [...pathArguments(from), ...pathArguments(to), overwrite]);
  }

  async copy(
    from: Buffer,
    to: Buffer,
    options: { recursive?: boolean; overwrite?: boolean; signal?: AbortSignal } = {},
  ): Promise<{ entries: number }> {
    const output = await this.#run("copy", [
      ...pathArguments(from),
      ...pathArguments(to),
      yesNo(options.overwrite ?? true),
      yesNo(options.recursive ?? false),
      temporaryName(),
    ]);
    return { entries: Number(output.toString()) };
  }

  async remove(
    path: Buffer,
    options: { recursive?: boolean; signal?: AbortSignal } = {},
  ): Promise<{ entries: number }> {
    const recursive = yesNo(options.recursive ?? false);
    const output = await this.#run("remove", [...pathArguments(path), recursive]);
    return { entries: Number(output.toString()) };
  }

  async chmod(path: Buffer, mode: number): Promise<void> {
    await this.#run("chmod", [...pathArguments(path), octal(mode)]);
  }

  async symlink(path: Buffer, target: Buffer): Promise<void> {
    await this.#run("symlink", [...pathArguments(path), escapeBytes(target)]);
  }

  /** Of several writes that ask for the same state of a file one wins, so they look and write one after another. */
  async #write(path: Buffer, source: Readable, options: GuestWriteOptions): Promise<GuestStat> {
    if (options.ifMatch === undefined) return await this.#writeNow(path, source, options);
    return await this.writes.run(this.containerId, () => this.#writeNow(path, source, options));
  }

  async #writeNow(path: Buffer, source: Readable, options: GuestWriteOptions): Promise<GuestStat> {
    const mark = randomBytes(MARK_BYTES).toString("hex");
    const command = await this.#start(options.append ? "append" : "write", [
      ...pathArguments(path),
      temporaryName(),
      mark,
      octal(options.mode),
      options.exclusive ? "new" : "any",
      await this.#knownFacts(path, options.ifMatch),
      yesNo(options.parents ?? true),
    ]);
    const answer = command.collect(MAX_ANSWER_BYTES);
    answer.catch(() => {});
    try {
      await feed(source, command.stdin, options.append ? "" : mark, options.signal);
    } catch (error) {
      // The script throws away what came without the mark; waited for, so that nothing is left once we answer.
      await answer.catch(() => {});
      throw error;
    }
    return parseFacts((await answer).toString("latin1").trimEnd());
  }

  /** What the script compares the file with before it replaces it; "-" for nothing. */
  async #knownFacts(path: Buffer, ifMatch: string | undefined): Promise<string> {
    if (ifMatch === undefined) return "-";
    const missing = (error: unknown) => {
      const gone = error instanceof GuestError && error.code === "not_found";
      throw gone ? new GuestError("precondition", "there is no such file") : error;
    };
    const line = await this.#line("stat", path).catch(missing);
    if (etagOf(line) !== ifMatch) {
      throw new GuestError("precondition", "the file is another one by now");
    }
    return line;
  }

  async #line(operation: string, path: Buffer): Promise<string> {
    return (await this.#run(operation, pathArguments(path))).toString("latin1").trimEnd();
  }

  async #run(operation: string, args: string[], maxBytes = MAX_ANSWER_BYTES): Promise<Buffer> {
    const command = await this.#start(operation, args);
    return await command.collect(maxBytes);
  }

  async #start(operation: string, args: string[]): Promise<EngineCommand> {
    return await EngineCommand.start(this.engine, this.containerId, operation, args);
  }
}

/** The first line of an output, and what came behind it already. */
async function takeLine(output: AsyncGenerator<Buffer>): Promise<{ line: string; rest: Buffer }> {
  let head: Buffer = Buffer.alloc(0);
  while (!head.includes("\n") && head.length < MAX_ANSWER_BYTES) {
    const { done, value } = await output.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const end = head.indexOf("\n");
  return { line: head.subarray(0, end).toString("latin1"), rest: head.subarray(end + 1) };
}

async function* prepend(first: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  yield* rest;
}
