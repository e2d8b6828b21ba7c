import {
  type ArchiveFormat,
  type FileEntry,
  type FileList,
  FileListSchema,
  type FileStat,
  FileStatAnswerSchema,
  type FilesChanged,
  FilesChangedSchema,
  type FileWritten,
  FileWrittenSchema,
  type FoundFiles,
  FoundFilesSchema,
  type GrepAnswer,
  GrepAnswerSchema,
  type UploadedArchive,
  UploadedArchiveSchema,
  type UploadedFiles,
  UploadedFilesSchema,
  type WatchEvent,
  WatchEventSchema,
} from "@clawdspace/protocol";
import { collect, toBase64, utf8 } from "./bytes.js";
import type { Connection, Query, Schema } from "./connection.js";
import { type FollowOptions, followEvents } from "./sse.js";
import type { Body } from "./transport.js";

/** A place below /workspace: "/a.txt" is /workspace/a.txt. Bytes name what is not UTF-8. */
export type Path = string | Uint8Array;

export interface WriteOptions {
  /** Adds to the file's end instead of replacing it. */
  append?: boolean;
  /** Permissions, in octal: "644". */
  mode?: string;
  /** The etag that the file must still have, or "*": it must be there. Otherwise `precondition_failed`. */
  ifMatch?: string;
  /** "*": it must not be there yet. */
  ifNoneMatch?: string;
  signal?: AbortSignal;
}

export interface FileStream {
  /** Of what is sent, in bytes, where the daemon knows it before. */
  size: number | undefined;
  etag: string | undefined;
  pieces: AsyncIterable<Uint8Array>;
}

const BYTES = { "content-type": "application/octet-stream" };
const TYPES: Record<ArchiveFormat, string> = {
  tar: "application/x-tar",
  "tar.gz": "application/gzip",
  zip: "application/zip",
};

const place = (path: Path) =>
  typeof path === "string" ? { path } : { pathBase64: toBase64(path) };

/** The files of one space. Every path is rooted at /workspace and none leaves it. */
export class Files {
  readonly #path: string;

  constructor(
    private readonly connection: Connection,
    space: string,
  ) {
    this.#path = `${space}/files`;
  }

  /** A page of a folder's entries, at most 10,000; `nextCursor` asks for the next. */
  async list(
    path: Path = "/",
    options: { limit?: number; cursor?: string; signal?: AbortSignal } = {},
  ): Promise<FileList> {
    const { signal, ...page } = options;
    const query = { ...place(path), ...page };
    return await this.connection.json(FileListSchema, "GET", this.#path, { query, signal });
  }

  /** All entries of a folder, page by page. */
  async *entries(path: Path = "/"): AsyncGenerator<FileEntry> {
    let cursor: string | undefined;
    do {
      const page = await this.list(path, cursor === undefined ? {} : { cursor });
      yield* page.entries;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  async stat(path: Path): Promise<FileStat> {
    const query = place(path);
    const answer = await this.connection.json(FileStatAnswerSchema, "GET", `${this.#path}/stat`, {
      query,
    });
    return answer.stat;
  }

  /** A whole file in memory; `stream` is for large ones. */
  async read(path: Path, options: { signal?: AbortSignal } = {}): Promise<Uint8Array<ArrayBuffer>> {
    return await collect((await this.stream(path, options)).pieces);
  }

  async readText(path: Path, options: { signal?: AbortSignal } = {}): Promise<string> {
    return new TextDecoder().decode(await this.read(path, options));
  }

  /** A file of any size, piece by piece. @param options `range` as in HTTP: "bytes=0-99", "bytes=100-" or "bytes=-50" */
  async stream(
    path: Path,
    { range, signal }: { range?: string; signal?: AbortSignal } = {},
  ): Promise<FileStream> {
    const answer = await this.connection.send("GET", `${this.#path}/raw`, {
      query: place(path),
      headers: { range },
      signal,
    });
    const size = answer.header("content-length");
    return {
      size: size === undefined ? undefined : Number(size),
      etag: answer.header("etag"),
      pieces: this.connection.pieces(answer, signal),
    };
  }

  /** Writes a file of any size; its parents are made, and it appears whole or not at all. */
  async write(path: Path, data: Body, options: WriteOptions = {}): Promise<FileWritten> {
    const { append, mode, ifMatch, ifNoneMatch, signal } = options;
    return await this.connection.json(FileWrittenSchema, "PUT", `${this.#path}/raw`, {
      query: { ...place(path), append, mode },
      headers: { ...BYTES, "if-match": ifMatch, "if-none-match": ifNoneMatch },
      body: typeof data === "string" ? utf8(data) : data,
      signal,
      timeoutMs: null,
    });
  }

  /** Writes many files in one request; each one's name is its path below `path`. */
  async upload(
    path: Path,
    files: Iterable<{ name: string; data: Blob | Uint8Array<ArrayBuffer> | string }>,
    options: { signal?: AbortSignal } = {},
  ): Promise<UploadedFiles> {
    const body = new FormData();
    for (const { name, data } of files) {
      body.append("file", data instanceof Blob ? data : new Blob([data]), name);
    }
    return await this.connection.json(UploadedFilesSchema, "POST", `${this.#path}/upload`, {
      query: place(path),
      body,
      signal: options.signal,
      timeoutMs: null,
    });
  }

  /** A folder as an archive. `leftOut` tells, after the last piece, how many entries could not be read, if that is known. */
  async downloadArchive(
    path: Path,
    { format = "tar", signal }: { format?: ArchiveFormat; signal?: AbortSignal } = {},
  ): Promise<{ pieces: AsyncIterable<Uint8Array>; leftOut(): number | undefined }> {
    const query = { ...place(path), format };
    const options = { query, signal, timeoutMs: null };
    const answer = await this.connection.send("GET", `${this.#path}/archive`, options);
    return {
      pieces: this.connection.pieces(answer, signal),
      leftOut: () => {
        const count = answer.trailer?.("x-left-out");
        return count === undefined ? undefined : Number(count);
      },
    };
  }

  /** Unpacks an archive into a folder, which is made where there is none. */
  async uploadArchive(
    path: Path,
    data: Body,
    { format = "tar", signal }: { format?: ArchiveFormat; signal?: AbortSignal } = {},
  ): Promise<UploadedArchive> {
    return await this.connection.json(UploadedArchiveSchema, "PUT", `${this.#path}/archive`, {
      query: { ...place(path), format },
      headers: { "content-type": TYPES[format] },
      body: data,
      signal,
      timeoutMs: null,
    });
  }

  /** @param options `parents` false: refuse where it exists or its parent doesn't (default true) */
  async mkdir(
    path: Path,
    options: { parents?: boolean; mode?: string } = {},
  ): Promise<FilesChanged> {
    return await this.#change("POST", "mkdir", { ...place(path), ...options });
  }

  async move(from: Path, to: Path, options: { overwrite?: boolean } = {}): Promise<FilesChanged> {
    return await this.#change("POST", "move", { ...fromTo(from, to), ...options });
  }

  async copy(
    from: Path,
    to: Path,
    options: { overwrite?: boolean; recursive?: boolean } = {},
  ): Promise<FilesChanged> {
    return await this.#change("POST", "copy", { ...fromTo(from, to), ...options });
  }

  /** @param mode three octal digits, such as "755" */
  async chmod(path: Path, mode: string): Promise<FilesChanged> {
    return await this.#change("POST", "chmod", { ...place(path), mode });
  }

  async remove(path: Path, options: { recursive?: boolean } = {}): Promise<FilesChanged> {
    const query = { ...place(path), ...options };
    return await this.connection.json(FilesChangedSchema, "DELETE", this.#path, {
      query,
      timeoutMs: null,
    });
  }

  /** Looks for names: "*.ts" anywhere below `path`, or a pattern with slashes, as in "src/**\/*.ts". */
  async find(
    glob: string,
    options: {
      path?: Path;
      type?: FileEntry["type"];
      hidden?: boolean;
      limit?: number;
      signal?: AbortSignal;
    } = {},
  ): Promise<FoundFiles> {
    return await this.#search(FoundFilesSchema, "find", { glob, ...options });
  }

  /** Looks for a regular expression, or with `literal` for a text, in the files below `path`. */
  async grep(
    pattern: string,
    options: {
      path?: Path;
      literal?: boolean;
      ignoreCase?: boolean;
      glob?: string;
      limit?: number;
      signal?: AbortSignal;
    } = {},
  ): Promise<GrepAnswer> {
    return await this.#search(GrepAnswerSchema, "grep", { pattern, ...options });
  }

  /** Changes below a folder as they happen. After a lost connection it says "overflow": look at the folder again. */
  watch(
    path: Path = "/",
    options: { recursive?: boolean } & FollowOptions = {},
  ): AsyncGenerator<WatchEvent> {
    const { recursive, ...following } = options;
    return followEvents<WatchEvent>(this.connection, WatchEventSchema, `${this.#path}/watch`, {
      ...following,
      query: { ...place(path), recursive },
      missed: { type: "overflow" },
    });
  }

  async #change(method: string, what: string, json: unknown): Promise<FilesChanged> {
    const options = { json, timeoutMs: null };
    return await this.connection.json(FilesChangedSchema, method, `${this.#path}/${what}`, options);
  }

  async #search<T>(
    schema: Schema<T>,
    what: string,
    {
      path = "/",
      signal,
      ...wanted
    }: { path?: Path; signal?: AbortSignal; [more: string]: unknown },
  ): Promise<T> {
    const query = { ...place(path), ...(wanted as Query) };
    const options = { query, signal, timeoutMs: null };
    return await this.connection.json(schema, "GET", `${this.#path}/${what}`, options);
  }
}

const fromTo = (from: Path, to: Path) => ({
  ...(typeof from === "string" ? { from } : { fromBase64: toBase64(from) }),
  ...(typeof to === "string" ? { to } : { toBase64: toBase64(to) }),
});
