import { randomUUID } from "node:crypto";
import { ClawdspaceError, PEER_PROTOCOL, type PeerHelloAnswer } from "@clawdspace/protocol";
import { VERSION } from "../version.js";
import { type PeerRequest, readToken, sessionOf, type TokenSession } from "./peer-token.js";
import { type Handshake, isProof, newNonce, prove, sessionKey } from "./proof.js";

/** How long a node that has said hello may take to prove itself. */
const PROOF_MS = 10_000;
const SESSION_MS = 3600_000;
/** Anybody may say hello; beyond so many unproven ones the oldest is forgotten. */
const MAX_PENDING = 1000;
const MAX_SESSIONS = 2000;
const SWEEP_MS = 5000;

interface Session extends TokenSession {
  expires: number;
}

/** Takes nodes in that prove that they know the key, and checks the tokens of what they forward. */
export class PeerSessions {
  /** Tells this run of the daemon from all others. */
  readonly instance = randomUUID();
  readonly #pending = new Map<string, { shake: Handshake; expires: number }>();
  readonly #sessions = new Map<string, Session>();
  /** Ids of tokens that were used, until they would have expired anyway. */
  readonly #used = new Map<string, number>();
  #sweptAt = 0;

  constructor(
    private readonly secret: () => Promise<Buffer>,
    private readonly nodeName: () => string,
  ) {}

  /** Answers a hello with a proof of our own. @param at the address that the other node has reached. */
  async hello(initiator: { node: string; nonce: string }, at: string): Promise<PeerHelloAnswer> {
    const { instance } = this;
    const responder = { node: this.nodeName(), nonce: newNonce(), instance, at };
    const shake = { initiator, responder };
    const [oldest] = this.#pending.keys();
    if (this.#pending.size >= MAX_PENDING && oldest !== undefined) this.#pending.delete(oldest);
    this.#pending.set(responder.nonce, { shake, expires: Date.now() + PROOF_MS });
    return {
      protocol: PEER_PROTOCOL,
      version: VERSION,
      ...responder,
      time: Date.now(),
      proof: prove(await this.secret(), "responder", shake),
    };
  }

  /** Opens a session for a node that proves itself; returns its name. Throws `unauthorized`; a hello is good for one try. */
  async open(id: string, proof: string): Promise<string> {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    const secret = await this.secret();
    const known = pending !== undefined && pending.expires > Date.now();
    if (!known || !isProof(secret, "initiator", pending.shake, proof)) throw refused();
    const { shake } = pending;
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    this.#sessions.set(id, {
      id,
      key: sessionKey(secret, shake),
      from: shake.initiator.node,
      to: shake.responder.node,
      expires: Date.now() + SESSION_MS,
    });
    return shake.initiator.node;
  }

  /** Who asks for what by a token that was never used before, and which node it is from. Throws `unauthorized`. */
  async verify(
    token: string,
    asked: { method: string; path: string },
  ): Promise<PeerRequest & { node: string }> {
    const session = this.#sessions.get(sessionOf(token) ?? "");
    if (!session || session.expires < Date.now()) throw refused();
    const request = await readToken(session, token, asked);
    if (!request || this.#used.has(request.id)) throw refused();
    this.#used.set(request.id, request.expires);
    if (Date.now() - this.#sweptAt > SWEEP_MS) this.#sweep();
    return { ...request, node: session.from };
  }

  #sweep(): void {
    // A token is taken up to two seconds after its end, for clocks that differ.
    this.#sweptAt = Date.now();
    const past = this.#sweptAt - SWEEP_MS;
    for (const [id, expires] of this.#used) if (expires < past) this.#used.delete(id);
  }
}

const refused = () =>
  new ClawdspaceError("unauthorized", "This node doesn't know you. Say hello and prove yourself.");
