import type { Socket } from "node:net";
import {
  ClawdspaceError,
  ErrorBodySchema,
  type NodeState,
  PEER_PROTOCOL,
  PeerHelloAnswerSchema,
  type PeerStatus,
  PeerStatusSchema,
} from "@clawdspace/protocol";
import { type buildConnector, type Dispatcher, Pool } from "undici";
import type { z } from "zod";
import { dial } from "./dial.js";
import { type PeerRequest, signToken, type TokenSession } from "./peer-token.js";
import { type Handshake, isProof, newNonce, prove, sessionKey } from "./proof.js";

export const PEER_HEADER = "x-clawdspace-peer";
const CONNECT_MS = 3000;
const SHAKE_MS = 3000;
const KEEP_ALIVE_MS = 30_000;
/** A session is renewed long before the other side forgets it. */
const RENEW_MS = 1800_000;
const MAX_ANSWER_BYTES = 4 * 1024 ** 2;

/** Why a machine can't be used as a node. */
export class PeerFault extends Error {
  override readonly name = "PeerFault";
  constructor(
    readonly state: Exclude<NodeState, "online">,
    message: string,
  ) {
    super(message);
  }
}

interface LinkOptions {
  url: string;
  /** What the other side must say that it was reached at; unset where the owner named the machine. */
  address: string | undefined;
  /** By way of which the node is reached; unset where it is directly. */
  proxy: string | undefined;
  secret: () => Promise<Buffer>;
  self: () => string;
}

interface Session extends TokenSession {
  /** How far the other clock is ahead, in milliseconds. */
  ahead: number;
  openedAt: number;
  instance: string;
}

/** The way to one other node: its connections, and the session in which requests to it are signed. */
export class PeerLink {
  readonly pool: Pool;
  #session: Promise<Session> | undefined;
  #instance: string | undefined;

  constructor(private readonly options: LinkOptions) {
    const { url, proxy } = options;
    const direct = { timeout: CONNECT_MS, keepAlive: true, keepAliveInitialDelay: 15_000 };
    const proxied: buildConnector.connector = (_options, done) =>
      void dial(url, proxy).then(
        (socket) => done(null, socket),
        (error: Error) => done(error, null),
      );
    this.pool = new Pool(url, {
      connect: proxy === undefined ? direct : proxied,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // Answers of commands and event streams take as long as they take; whether the node lives is watched elsewhere.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** A connection of its own to the node, which ends with the signal. */
  async dial(signal: AbortSignal): Promise<Socket> {
    return await dial(this.options.url, this.options.proxy, signal);
  }

  /** The run of the daemon that was last spoken to. */
  get instance(): string | undefined {
    return this.#instance;
  }

  /** A header that lets one request pass. Proves this node first where that isn't done. Throws `PeerFault`. */
  async sign(request: PeerRequest): Promise<string> {
    const session = await this.#open();
    return await signToken(session, request, Date.now() + session.ahead);
  }

  /** Forgets the session: the other daemon doesn't know it any more. */
  forget(): void {
    this.#session = undefined;
  }

  /** What the node tells of itself. Throws `PeerFault`. */
  async status(signal: AbortSignal): Promise<PeerStatus> {
    const request = { method: "GET", path: "/api/peer/status", actor: FLEET, header: true };
    for (let attempt = 0; ; attempt++) {
      const token = await this.sign(request);
      const { status, body } = await this.#ask("GET", request.path, undefined, token, signal);
      if (status === 401 && attempt === 0) {
        this.forget();
        continue;
      }
      return this.#parse(PeerStatusSchema, status, body);
    }
  }

  /** One request with a JSON answer, by an actor. Throws `PeerFault`, or the error that the other node answers with. */
  async json<T extends z.ZodType>(
    schema: T,
    request: PeerRequest & { body?: unknown },
    signal: AbortSignal,
  ): Promise<z.output<T>> {
    for (let attempt = 0; ; attempt++) {
      const token = await this.sign(request);
      const { method, path } = request;
      const { status, body } = await this.#ask(method, path, request.body, token, signal);
      if (status === 401 && attempt === 0) {
        this.forget();
        continue;
      }
      const fault = ErrorBodySchema.safeParse(body);
      if (status >= 400 && fault.success) {
        const { code, error, issues } = fault.data;
        throw new ClawdspaceError(code, error, issues ? { issues } : {});
      }
      return this.#parse(schema, status, body);
    }
  }

  async close(): Promise<void> {
    await this.pool.destroy();
  }

  #open(): Promise<Session> {
    // Others wait for the same handshake: it must not end with the one request that began it.
    const opening = this.#session ?? this.#shake(AbortSignal.timeout(SHAKE_MS));
    this.#session = opening;
    return opening.then(
      (session) => {
        if (Date.now() - session.openedAt > RENEW_MS) this.forget();
        return session;
      },
      (error: unknown) => {
        if (this.#session === opening) this.forget();
        throw error;
      },
    );
  }

  async #shake(signal: AbortSignal): Promise<Session> {
    const initiator = { node: this.options.self(), nonce: newNonce() };
    const hello = { protocol: PEER_PROTOCOL, ...initiator };
    const asked = Date.now();
    const { status, body } = await this.#ask("POST", "/api/peer/hello", hello, undefined, signal);
    if (status !== 200) throw await this.#stranger(signal);
    const answer = PeerHelloAnswerSchema.safeParse(body);
    if (!answer.success) throw await this.#stranger(signal);
    const { protocol, version, node, nonce, instance, at, time, proof } = answer.data;
    if (protocol !== PEER_PROTOCOL) {
      throw new PeerFault(
        "other_version",
        `It runs Clawdspace ${version}, which speaks otherwise.`,
      );
    }
    const shake: Handshake = { initiator, responder: { node, nonce, instance, at } };
    const secret = await this.options.secret();
    if (!isProof(secret, "responder", shake, proof)) {
      throw new PeerFault("wrong_key", "It has another key. Give all nodes the same API_KEY.");
    }
    const { address } = this.options;
    if (address !== undefined && at !== address) {
      throw new PeerFault("wrong_key", `It passes on the answers of another machine, at ${at}.`);
    }
    const given = { session: nonce, proof: prove(secret, "initiator", shake) };
    const opened = await this.#ask("POST", "/api/peer/session", given, undefined, signal);
    if (opened.status !== 200) throw new PeerFault("offline", "It didn't open a session.");
    this.#instance = instance;
    return {
      id: nonce,
      key: sessionKey(secret, shake),
      from: initiator.node,
      to: node,
      ahead: time - (asked + Date.now()) / 2,
      openedAt: Date.now(),
      instance,
    };
  }

  /** What it is that answers, but not as a node does. */
  async #stranger(signal: AbortSignal): Promise<PeerFault> {
    const { status, body } = await this.#ask("GET", "/api/health", undefined, undefined, signal);
    const { version } = (typeof body === "object" ? (body ?? {}) : {}) as { version?: unknown };
    if (status === 200 && typeof version === "string") {
      return new PeerFault(
        "other_version",
        `It runs Clawdspace ${version.slice(0, 40)}, which knows no fleets.`,
      );
    }
    return new PeerFault("not_clawdspace", "What answers there isn't Clawdspace.");
  }

  #parse<T extends z.ZodType>(schema: T, status: number, body: unknown): z.output<T> {
    const parsed = schema.safeParse(body);
    if (status < 300 && parsed.success) return parsed.data;
    throw new PeerFault("other_version", `It gave an answer that isn't known here (${status}).`);
  }

  async #ask(
    method: Dispatcher.HttpMethod | string,
    path: string,
    body: unknown,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<{ status: number; body: unknown }> {
    try {
      const answer = await this.pool.request({
        method: method as Dispatcher.HttpMethod,
        path,
        signal,
        headers: {
          ...(token === undefined ? {} : { [PEER_HEADER]: token }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
      return { status: answer.statusCode, body: await readJson(answer.body) };
    } catch (error) {
      throw toFault(error, this.options.url);
    }
  }
}

/** Reads with a bound: what answers may be anything. undefined where it is no JSON. */
async function readJson(body: AsyncIterable<Buffer>): Promise<unknown> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > MAX_ANSWER_BYTES) return undefined;
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch {
    return undefined;
  }
}

/** A failure to reach a node in words for a person. */
export function toFault(error: unknown, url: string): PeerFault {
  if (error instanceof PeerFault) return error;
  const { code: told, message, name } = error as Partial<NodeJS.ErrnoException>;
  // The code of a time that is over is a number.
  const code = typeof told === "string" ? told : undefined;
  const silent =
    name === "TimeoutError" || name === "AbortError" || code === "UND_ERR_CONNECT_TIMEOUT";
  if (code?.startsWith("HPE_")) {
    return new PeerFault("not_clawdspace", "What answers there isn't HTTP.");
  }
  const why = silent ? "no answer in time" : (code ?? message ?? "no connection");
  return new PeerFault("offline", `${url} can't be reached: ${why}.`);
}

/** The fleet's own look at a node, which needs no more than reading. */
const FLEET = { name: "fleet", role: "viewer" } as const;
