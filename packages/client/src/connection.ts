import {
  ClawdspaceError,
  ERROR_STATUS,
  type ErrorCode,
  type Issue,
  parseJson,
} from "@clawdspace/protocol";
import { jsonLines } from "./lines.js";
import type { Socket, SocketFactory } from "./socket.js";
import { type Body, BodyFailure, type Transport, type TransportAnswer } from "./transport.js";

/** What checks an answer: a schema of the protocol. */
export interface Schema<T> {
  safeParse(
    value: unknown,
  ): { success: true; data: T } | { success: false; error: { message: string } };
}

export type Query = Record<string, string | number | boolean | undefined>;

export interface RequestOptions {
  query?: Query;
  headers?: Record<string, string | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: Body;
  signal?: AbortSignal | undefined;
  /** How long the answer's head may take; null: as long as it takes. */
  timeoutMs?: number | null;
}

export interface ConnectionOptions {
  baseUrl: string;
  key?: string | undefined;
  headers?: Record<string, string> | undefined;
  query?: Query | undefined;
  timeoutMs: number;
  transport: Transport;
  socket: SocketFactory;
}

const NDJSON = "application/x-ndjson";

/** One daemon as it is reached: every request and every WebSocket of a client goes through here. */
export class Connection {
  constructor(readonly options: ConnectionOptions) {}

  /** The parsed answer. Throws `ClawdspaceError`. */
  async json<T>(
    schema: Schema<T>,
    method: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<T> {
    const answer = await this.send(method, path, options);
    const text = await this.#reading(() => answer.text(), options.signal);
    return parse(schema, text, `${method} ${path}`);
  }

  /** The answer as one JSON value a line; what comes after the headers as an error is a value like others. */
  async *lines<T>(
    schema: Schema<T>,
    method: string,
    path: string,
    options: RequestOptions = {},
  ): AsyncGenerator<T> {
    const headers = { accept: NDJSON, ...options.headers };
    const answer = await this.send(method, path, { timeoutMs: null, ...options, headers });
    const pieces = this.pieces(answer, options.signal);
    for await (const line of jsonLines(pieces)) yield parse(schema, line, `${method} ${path}`);
  }

  /** An answer of success with its body still to be read. Throws `ClawdspaceError`. */
  async send(
    method: string,
    path: string,
    { query, headers, json, body, signal, timeoutMs }: RequestOptions = {},
  ): Promise<TransportAnswer> {
    const { key, transport } = this.options;
    const limit = timeoutMs === undefined ? this.options.timeoutMs : timeoutMs;
    const deadline = limit === null ? undefined : new Deadline(limit);
    const all = definedOf({
      ...this.options.headers,
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(json === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    });
    signal?.throwIfAborted();
    let answer: TransportAnswer;
    try {
      answer = await transport({
        method,
        url: this.url(path, query),
        headers: all,
        body: json === undefined ? body : JSON.stringify(json),
        signal: anyOf(signal, deadline?.signal),
      });
    } catch (error) {
      if (deadline?.signal.aborted) {
        throw new ClawdspaceError(
          "timed_out",
          `${this.options.baseUrl} did not answer ${method} ${path} within ${limit} ms.`,
        );
      }
      throw this.failure(error, signal);
    } finally {
      deadline?.clear();
    }
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw toError(answer, await answer.text().catch(() => ""), this.options.baseUrl);
  }

  /** The pieces of an answer's body; a connection that breaks is a `ClawdspaceError` "unreachable". */
  async *pieces(answer: TransportAnswer, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const iterator = answer.pieces()[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#reading(() => iterator.next(), signal);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.()?.catch(() => {});
    }
  }

  /** Begins to open a WebSocket. */
  async socket(path: string, query: Query = {}): Promise<Socket> {
    const { key, headers = {}, socket, baseUrl } = this.options;
    const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };
    const url = this.url(path, query).replace(/^http/, "ws");
    if (!/^wss?:/.test(url)) throw new Error(`"${baseUrl}" is no address that starts with http`);
    return await socket({ url, key, headers: { ...headers, ...authorization } });
  }

  url(path: string, query: Query = {}): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...this.options.query, ...query })) {
      if (value !== undefined) parameters.set(name, `${value}`);
    }
    const text = parameters.toString();
    return `${this.options.baseUrl}${path}${text === "" ? "" : `?${text}`}`;
  }

  /** What a failed request is to its caller: the abort that was asked for, or what is wrong with the connection. */
  failure(error: unknown, signal?: AbortSignal): unknown {
    if (signal?.aborted) return signal.reason;
    if (error instanceof ClawdspaceError) return error;
    if (error instanceof BodyFailure) return error.cause;
    return new ClawdspaceError(
      "unreachable",
      `No answer from ${this.options.baseUrl} (${reasonOf(error)}). Is the daemon running there, and is this its address?`,
      { cause: error },
    );
  }

  async #reading<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw this.failure(error, signal);
    }
  }
}

class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(ms: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

const anyOf = (...signals: (AbortSignal | undefined)[]) => {
  const given = signals.filter((signal) => signal !== undefined);
  return given.length < 2 ? given[0] : AbortSignal.any(given);
};

const definedOf = (headers: Record<string, string | undefined>) =>
  Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );

/** An answer of failure as the error it tells of, also where something between us and the daemon answered. */
function toError(answer: TransportAnswer, text: string, baseUrl: string): ClawdspaceError {
  const seconds = Number(answer.header("retry-after"));
  const later = seconds > 0 ? { retryAfterSeconds: seconds } : {};
  // By hand, and not by the protocol's schema: a program that starts for one request would wait for it to load.
  const { error, code, issues } = (parseJson(text) ?? {}) as Record<string, unknown>;
  return new ClawdspaceError(
    typeof code === "string" && code in ERROR_STATUS ? (code as ErrorCode) : codeOf(answer.status),
    typeof error === "string"
      ? error
      : `${baseUrl} answered with status ${answer.status}, and not as a Clawdspace daemon does.`,
    { ...(Array.isArray(issues) ? { issues: issues.filter(isIssue) } : {}), ...later },
  );
}

const isIssue = (value: unknown): value is Issue => {
  const { path, message } = (value ?? {}) as Partial<Issue>;
  return typeof path === "string" && typeof message === "string";
};

function codeOf(status: number): ErrorCode {
  const codes = Object.entries(ERROR_STATUS) as [ErrorCode, number][];
  return codes.find((entry) => entry[1] === status)?.[0] ?? "internal";
}

/** Checks a text against a schema of the protocol. Throws `ClawdspaceError`. */
export function parse<T>(schema: Schema<T>, text: string, what: string): T {
  const value = parseJson(text);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ClawdspaceError(
    "internal",
    `The answer to ${what} is not what this client knows: ${text.slice(0, 200)}. Is the daemon of another version?`,
    { cause: result.error },
  );
}

/** The innermost reason: fetch says only "fetch failed" and keeps why as its cause. */
function reasonOf(error: unknown): string {
  const { cause, code, message, errors } = (error ?? {}) as {
    cause?: unknown;
    code?: string;
    message?: string;
    errors?: unknown[];
  };
  if (errors?.[0]) return reasonOf(errors[0]);
  if (cause) return reasonOf(cause);
  return message || code || String(error);
}

/** An error of the protocol as it comes inside a stream. */
export function inBandError({ error, code }: { error: string; code: string }): ClawdspaceError {
  return new ClawdspaceError(code in ERROR_STATUS ? (code as ErrorCode) : "internal", error);
}
