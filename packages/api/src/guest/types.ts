import type { Duplex, Readable, Writable } from "node:stream";

/** A path in the space: text is sent as UTF-8, a Buffer as it is (names need not be UTF-8). */
export type GuestPath = string | Buffer;

/** What a container attach gives: bytes for the guest's stdin, bytes of its stdout (already demultiplexed). */
export type GuestTransport = { stdin: Writable; stdout: Readable; close(): void };

/**
 * Opens a transport to the guest. Called again whenever the previous one broke. A rejection is retried with
 * backoff, except a GuestError with code "closed" (the space is gone), which ends the connection.
 */
export type GuestAttach = (signal: AbortSignal) => Promise<GuestTransport>;

/** The guest's ends of its own pipes, as it numbers them: it reads from `input` and writes into `output`. */
export type GuestPipes = { input: number; output: number };

/** Opens pipes that a guest has made. undefined where they can't be reached from here. */
export type OpenPipes = (pipes: GuestPipes) => GuestTransport | undefined;

export type GuestConnectionOptions = {
  /** Gives up on the first handshake after this time. Default 10,000 ms. */
  openTimeoutMs?: number;
  /** Answers to plain requests are awaited this long, reattaching included. Default 30,000 ms. */
  requestTimeoutMs?: number;
  /** A broken transport is reattached for this long before the connection closes itself. Default 60,000 ms. */
  reattachMs?: number;
  /** How long processes get between SIGTERM and SIGKILL when the container is stopped. Default 700 ms. */
  stopGraceMs?: number;
  /** Told once when the connection has ended for good (not told after close()). */
  onClosed?: (reason: Error) => void;
};

export type GuestResourceLimit = {
  resource: "nproc" | "nofile" | "as" | "cpu" | "fsize" | "core" | "stack" | "memlock" | "data";
  soft: number;
  hard: number;
};

export type GuestOnFull = "block" | "drop" | "follow";

export type GuestProcessSpec = {
  /** 32 lower-case hex digits; chosen at random where absent. A start repeated with an id starts nothing twice. */
  id?: string;
  argv: (string | Buffer)[];
  /** The complete environment; the guest adds CLAWDSPACE_PROCESS_ID. */
  env: Record<string, string>;
  /** Absolute, anywhere in the space. */
  cwd: GuestPath;
  pty?: { cols: number; rows: number };
  /** Whether stdin stays open for writeStdin; otherwise it is /dev/null. A PTY's is always open. */
  stdin?: boolean;
  /**
   * What happens when the kept output is full. "block": the process waits for its reader, also while nobody is
   * attached (after five minutes without one the oldest output gives way after all). "drop": the oldest gives way.
   * "follow": it waits for those who follow its output; where nobody does, the oldest gives way.
   */
  onFull: GuestOnFull;
  /** Output kept, at most 16 MiB, rounded up to a power of two. Default 1 MiB. */
  ringBytes?: number;
  /** How long after the process's own exit output of its children still counts. Default 100 ms. */
  lingerMs?: number;
  limits?: GuestResourceLimit[];
  /** Kept by the guest and given back by list(), at most 16 KiB: what the daemon wants to know after a restart. */
  meta?: Buffer;
};

export type GuestExit = {
  /** The exit code, or 128 + the signal's number. */
  exitCode: number;
  /** "SIGKILL" and the like, where a signal ended it. */
  signal?: string;
  userCpuMs: number;
  systemCpuMs: number;
  maxRssBytes: number;
};

export type GuestProcessInfo = {
  id: string;
  pid: number;
  startedAt: Date;
  pty: boolean;
  stdinOpen: boolean;
  onFull: GuestOnFull;
  /** Bytes of stdin that the guest has taken over. */
  stdinOffset: number;
  /** The output that can still be read is [outputStart, outputEnd). */
  outputStart: number;
  outputEnd: number;
  exit?: GuestExit;
  meta: Buffer;
};

export type GuestOutput =
  | { type: "stdout" | "stderr"; offset: number; data: Buffer }
  | { type: "dropped"; offset: number; bytes: number }
  | ({ type: "exit"; offset: number } & GuestExit);

export type GuestFileType = "file" | "dir" | "symlink" | "other";

export type GuestStat = {
  type: GuestFileType;
  size: number;
  mtimeMs: number;
  /** Permission bits, 0o7777 at most. */
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  ino: bigint;
  /** Changes whenever the content was replaced or modified; opaque. */
  etag: string;
};

export type GuestDirEntry = GuestStat & { name: Buffer };

export type GuestDirPage = {
  /** In the file system's order. */
  entries: GuestDirEntry[];
  /** Give it to the next list() for what follows; absent at the end. */
  cursor?: string;
};

export type GuestReadOptions = {
  offset?: number;
  length?: number;
  /** Only if the file's etag is this one, else "precondition". */
  ifMatch?: string;
  signal?: AbortSignal;
};

export type GuestWriteOptions = {
  /** Permission bits of the file; an existing file keeps its own where absent, a new one gets 0o644. */
  mode?: number;
  /** Adds to the file in place instead of replacing it atomically. */
  append?: boolean;
  /** Fails with "exists" where the path exists. */
  exclusive?: boolean;
  /** Only if the etag of the file is this one, else "precondition". */
  ifMatch?: string;
  /** Makes missing parent folders. Default true. */
  parents?: boolean;
  signal?: AbortSignal;
};

export type GuestStatfs = {
  totalBytes: number;
  freeBytes: number;
  availableBytes: number;
  totalInodes: number;
  freeInodes: number;
};

/** A file that is read: its facts, and its bytes as they come. */
export type GuestFileReader = { stat: GuestStat; stream: Readable };

/** A file that is written: end() the stream, then await the result. Destroying it leaves the old file as it was. */
export type GuestFileWriter = { stream: Writable; result: Promise<GuestStat> };

/** Files below the guest's root (/workspace). Nothing can name or reach what is outside. */
export type GuestFiles = {
  /** followLinks (default false) says whether a final symlink is followed. */
  stat(path: GuestPath, options?: { followLinks?: boolean }): Promise<GuestStat>;
  /** One page of a folder, at most `limit` (default 1,000, at most 4,000) entries. */
  list(path: GuestPath, options?: { cursor?: string; limit?: number }): Promise<GuestDirPage>;
  read(path: GuestPath, options?: GuestReadOptions): Promise<GuestFileReader>;
  /** A whole small file in one round trip; cut at maxBytes. */
  readAll(
    path: GuestPath,
    options: { maxBytes: number; signal?: AbortSignal },
  ): Promise<{ stat: GuestStat; data: Buffer; truncated: boolean }>;
  write(path: GuestPath, options?: GuestWriteOptions): GuestFileWriter;
  /** A whole file in one round trip. */
  writeAll(path: GuestPath, data: Buffer, options?: GuestWriteOptions): Promise<GuestStat>;
  /** parents (default true): like mkdir -p, else "exists" where the path exists. */
  mkdir(path: GuestPath, options?: { mode?: number; parents?: boolean }): Promise<void>;
  /** overwrite (default true): replaces a file at `to`, else "exists". */
  rename(from: GuestPath, to: GuestPath, options?: { overwrite?: boolean }): Promise<void>;
  /** Copies a file, symlink, or (recursive) a folder. */
  copy(
    from: GuestPath,
    to: GuestPath,
    options?: { recursive?: boolean; overwrite?: boolean; signal?: AbortSignal },
  ): Promise<{ entries: number }>;
  remove(
    path: GuestPath,
    options?: { recursive?: boolean; signal?: AbortSignal },
  ): Promise<{ entries: number }>;
  chmod(path: GuestPath, mode: number): Promise<void>;
  symlink(path: GuestPath, target: GuestPath): Promise<void>;
  readlink(path: GuestPath): Promise<Buffer>;
  statvfs(path?: GuestPath): Promise<GuestStatfs>;
};

/** Paths are relative to the guest's root. "overflow": events were lost, look at the folder again. */
export type GuestWatchEvent =
  | { type: "created" | "modified" | "removed"; path: Buffer; dir: boolean }
  | { type: "renamed"; from: Buffer; path: Buffer; dir: boolean }
  | { type: "overflow" };

export type GuestTableEntry = {
  pid: number;
  ppid: number;
  uid: number;
  /** One letter, as in /proc/PID/stat. */
  state: string;
  sessionId: number;
  cpuMs: number;
  rssBytes: number;
  threads: number;
  startedAt: Date;
  /** Cut at 1 KiB. A kernel or zombie process has its name in brackets. */
  argv: Buffer[];
  /** The process of start() that it belongs to, where that is known. */
  processId?: string;
};

export type GuestPort = {
  port: number;
  /** "127.0.0.1", "::", … */
  address: string;
  pid?: number;
  processId?: string;
};

export type GuestErrorCode =
  | "unavailable" // no transport, or the guest does not answer
  | "version" // the guest speaks another protocol version
  | "protocol" // the guest broke the protocol; the connection is closed
  | "closed" // the connection, process input or stream is closed for good
  | "aborted" // the caller's signal
  | "timeout"
  | "not_found"
  | "exists"
  | "invalid"
  | "permission"
  | "outside" // the path leads out of the root
  | "not_directory"
  | "is_directory"
  | "not_empty"
  | "precondition" // ifMatch didn't match
  | "refused" // nothing listens on the port
  | "no_space"
  | "limit" // a bound of the guest, the space or this connection
  | "unsupported"
  | "io";

/** Everything that fails in this folder fails with it. */
export class GuestError extends Error {
  override readonly name = "GuestError";
  constructor(
    readonly code: GuestErrorCode,
    message: string,
    /** The guest's errno name ("ENOENT") and, for a start, the step that failed. */
    readonly details: { errno?: string; step?: GuestStartStep; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
  }
}

/** The step of a start that failed: "exec" (command missing or not executable), "cwd", "fork" (process limit), … */
export type GuestStartStep = "exec" | "cwd" | "fork" | "pty" | "pipe" | "limits";

/** A managed process that is started and followed at once. */
export type GuestRun = {
  id: string;
  /** Rejects where the start failed. */
  started: Promise<{ id: string; pid: number }>;
  output: AsyncIterable<GuestOutput>;
};

/**
 * The daemon's hold on one space's guest agent. It outlives broken transports: it reattaches by itself, requests wait
 * meanwhile, output resumes at its offset. GuestConnection.open(attach, options) makes one.
 */
export type Guest = {
  /** Starts a process; "not_found" (details.step says what), "permission", "limit", "invalid". */
  start(spec: GuestProcessSpec): Promise<{ id: string; pid: number }>;
  /** start() and output() in one round trip: the shape of an exec. The signal ends the following, not the process. */
  run(spec: GuestProcessSpec, signal?: AbortSignal): GuestRun;
  /** Processes started through the guest and not forgotten, running or finished. */
  list(): Promise<GuestProcessInfo[]>;
  /**
   * Output from a byte offset over stdout and stderr together, ending with "exit". Resumes over reattaches without
   * loss or repeat. "dropped" comes where the ring no longer has the bytes. A consumer that waits holds nobody else up.
   */
  output(id: string, fromOffset: number, signal?: AbortSignal): AsyncIterable<GuestOutput>;
  /**
   * Keeps all output from an offset on as long as the process is of the kind that waits ("block"), also over reattaches,
   * until the returned function is called. Takes nothing of it over.
   */
  retain(id: string, fromOffset: number): () => void;
  /**
   * Resolves when the bytes are on their way and there is room for more; they are sent again over reattaches, never
   * twice into the process. "closed" where the process or its stdin has ended.
   */
  writeStdin(id: string, data: Buffer): Promise<void>;
  /** Ends stdin after what was written; for a PTY sends its end-of-file character. */
  closeStdin(id: string): Promise<void>;
  resize(id: string, cols: number, rows: number): Promise<void>;
  /**
   * "group": the process group of a running process. "all": everything it started, also what called setsid, also
   * after its own end; with SIGKILL it resolves when none is left. Resolves to the number of processes found.
   */
  signal(id: string, signal: NodeJS.Signals, scope: "group" | "all"): Promise<number>;
  /** Frees what is kept of a process; of a running one when it ends. Unknown ids are fine. */
  forget(id: string): Promise<void>;
  readonly files: GuestFiles;
  /** Resolves once every change from now on will be seen. A reattach shows as "overflow". Ends with what it watches. */
  watch(
    path: GuestPath,
    options: { recursive?: boolean },
    signal?: AbortSignal,
  ): Promise<AsyncIterable<GuestWatchEvent>>;
  /** A TCP stream to a port on the space's 127.0.0.1 or ::1, half-close included; "refused". */
  connect(port: number, signal?: AbortSignal): Promise<Duplex>;
  processTable(): Promise<GuestTableEntry[]>;
  listeningPorts(): Promise<GuestPort[]>;
  /** A round trip; resolves to its milliseconds. */
  ping(): Promise<number>;
  /** Ends all processes of the space in order, then the guest: what SIGTERM does, with another grace. */
  shutdown(graceMs: number): Promise<void>;
  /** Whether the space's kernel lets the guest do file operations; else all of `files` is "unsupported". */
  readonly hasFiles: boolean;
  /** Changes when the guest itself was started anew (its processes are gone then). */
  readonly bootId: string;
  /** Detaches; the guest and its processes go on. Everything pending rejects with "closed". */
  close(): void;
};
