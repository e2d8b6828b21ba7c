import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  type Actor,
  ClawdspaceError,
  ErrorBodySchema,
  MessageSchema,
  type Space,
} from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Recorder } from "../../audit/recorder.js";
import type { Engine } from "../../engine/engine.js";
import { WORKSPACE } from "../../spaces/container-spec.js";
import type { EnvStore } from "../../spaces/env-store.js";
import type { SpaceEntry } from "../../spaces/space-entry.js";
import type { SpaceService } from "../../spaces/space-service.js";
import type { SpaceSpec } from "../../spaces/space-spec.js";
import { within } from "../../within.js";
import type { Fleet } from "../fleet.js";
import type { NodeForwarder } from "../node-forwarder.js";
import { type Peer, unreachable } from "../peer.js";
import { PeerFault } from "../peer-link.js";
import type { Leaving } from "./leaving.js";
import type { Move, MoveJournal } from "./move-journal.js";
import {
  type CommittedMove,
  CommittedMoveSchema,
  type PreparedMove,
  TreeDigestSchema,
} from "./peer-moves.js";
import { digesting } from "./tree-digest.js";

/** An image may have to be pulled. */
const PREPARE_MS = 30 * 60_000;
const COMMIT_MS = 30_000;
const ABANDON_MS = 3000;
/** How often what is unsettled is looked at. */
const SETTLE_MS = 2000;
/** How often a request itself asks for the outcome of a move before it leaves that to later. */
const COMMIT_TRIES = 3;
const PROGRESS_BYTES = 8 * 1024 ** 2;

interface Parts {
  engine: Engine;
  fleet: Fleet;
  forwarder: NodeForwarder;
  spaces: SpaceService;
  envs: EnvStore;
  leaving: Leaving;
  journal: MoveJournal;
  recorder: Recorder;
  /** How many bytes a workspace holds, where that can be told. */
  sizeOf: (space: string) => Promise<number | undefined>;
  log: FastifyBaseLogger;
}

export interface MoveOptions {
  actor: Actor;
  /** The address of the client that asks. */
  from: string | undefined;
  /** Until the copy is complete, who asks can change their mind. */
  signal: AbortSignal;
  onProgress: (progress: { message: string; current?: number }) => void;
}

/**
 * Moves spaces from this node to others: the space sleeps, its workspace is copied, and once the other node has made the copy the
 * space it is removed here. How far each move is stands in the journal, so that whatever ends it leaves one good copy: before
 * "committing" what is here is the space, after that the other node says which.
 */
export class Departures {
  /** Moves that no request looks after any more. */
  readonly #unsettled = new Map<string, Move>();
  #settling: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(private readonly parts: Parts) {}

  /** Takes up what an earlier daemon was killed in: before this resolves none of these spaces may be used. */
  async start(): Promise<void> {
    for (const move of await this.parts.journal.load()) {
      this.parts.leaving.begin(move.space, move.node);
      this.#unsettled.set(move.id, move);
    }
    this.#settling = setInterval(() => void this.#settleAll(), SETTLE_MS).unref();
  }

  stop(): void {
    clearInterval(this.#settling);
  }

  /**
   * Moves a space. Throws, with the space as it was: `wrong_state`, `not_found`, `node_unreachable`, and why the other node can't
   * take it. Where the other node falls silent at the very end, `node_unreachable` says that the outcome is still open.
   */
  async move(name: string, node: string, options: MoveOptions): Promise<Space> {
    const { fleet, spaces, leaving } = this.parts;
    const entry = await spaces.find(name);
    const peer = await fleet.wanted(node);
    if (!peer) {
      throw new ClawdspaceError("wrong_state", `The space "${name}" is on node "${node}" already.`);
    }
    const { id: containerId } = entry;
    const wasRunning = entry.state === "running";
    const id = randomUUID();
    const move: Move = {
      ...{ id, space: name, containerId, node, actor: options.actor, wasRunning },
      phase: "sending",
    };
    leaving.begin(name, node);
    try {
      await this.#prepare(peer, move, entry, options);
      await this.parts.journal.write(move);
      await this.#send(peer, move, entry, options);
      options.signal.throwIfAborted();
      move.phase = "committing";
      await this.parts.journal.write(move);
    } catch (error) {
      await this.#giveUp(peer, move);
      throw options.signal.aborted
        ? new ClawdspaceError("cancelled", "The client went away, so the space was not moved.")
        : error;
    }
    return await this.#commitNow(peer, move);
  }

  async #prepare(peer: Peer, move: Move, entry: SpaceEntry, options: MoveOptions): Promise<void> {
    const { envs, sizeOf } = this.parts;
    options.onProgress({ message: `Asking node "${move.node}" for room` });
    const bytes = await sizeOf(move.space).catch(() => undefined);
    const body: PreparedMove = {
      id: move.id,
      name: move.space,
      spec: portable(entry.spec),
      env: await envs.of(entry),
      ...(bytes === undefined ? {} : { bytes }),
    };
    const request = { ...toAsker(options), method: "POST", path: "/api/peer/moves", body };
    const signal = within(PREPARE_MS, options.signal, peer.gone.signal);
    try {
      await peer.link.json(MessageSchema, request, signal);
    } catch (error) {
      throw refusal(error, peer);
    }
  }

  /** Puts the space to sleep and sends its workspace; returns when what the other node has was found to be the same. */
  async #send(peer: Peer, move: Move, entry: SpaceEntry, options: MoveOptions): Promise<void> {
    const { engine, spaces, forwarder } = this.parts;
    await spaces.pause(move.space);
    if (entry.state === "running") {
      throw new ClawdspaceError("wrong_state", `The space "${move.space}" could not be stopped.`);
    }
    let told = 0;
    const archive = await engine.readArchive(entry.id, WORKSPACE);
    const { stream, digest } = digesting(archive, (current) => {
      if (current - told < PROGRESS_BYTES) return;
      told = current;
      options.onProgress({ message: "Copying the workspace", current });
    });
    try {
      const answer = await forwarder.send(
        peer,
        {
          method: "PUT",
          path: `${pathOf(move)}/workspace`,
          headers: ["content-type", "application/x-tar"],
          body: stream,
          identity: toAsker(options),
        },
        options.signal,
      );
      const text = Buffer.concat(await answer.body.toArray()).toString("utf8");
      const there = TreeDigestSchema.parse(toAnswer(answer.status, text));
      const here = await digest;
      if (here.sha256 === there.sha256) return;
      throw new ClawdspaceError(
        "unprocessable",
        `What arrived on node "${move.node}" is not what was sent (${there.entries} entries with ${there.bytes} bytes of ${here.entries} with ${here.bytes}), so the space stays where it is. Try again; if that fails too, the engine there can't restore something that the workspace holds.`,
      );
    } finally {
      stream.destroy();
    }
  }

  async #commitNow(peer: Peer, move: Move): Promise<Space> {
    const { log } = this.parts;
    const { space, node } = move;
    const outcome = await this.#insist(peer, move).catch((cause: unknown) => {
      log.warn({ err: cause, space }, "the outcome of a move is open");
      this.#unsettled.set(move.id, move);
      const message = `Node "${node}" has got the space "${space}", but doesn't say whether it keeps it. As soon as it answers, the copy here is removed or used again; until then neither is lost.`;
      throw new ClawdspaceError("node_unreachable", message, { cause });
    });
    await this.#end(move, outcome).catch((error: unknown) => {
      log.warn({ err: error, space }, "a move could not be ended here yet");
      this.#unsettled.set(move.id, move);
    });
    if (outcome.state === "moved") return { ...outcome.space, node };
    throw new ClawdspaceError(
      "wrong_state",
      `Node "${node}" did not keep its copy (${outcome.reason}), so the space "${space}" stays where it is.`,
    );
  }

  async #insist(peer: Peer, move: Move): Promise<CommittedMove> {
    for (let tries = 1; tries < COMMIT_TRIES; tries++) {
      const outcome = await this.#commit(peer, move).catch(() => undefined);
      if (outcome) return outcome;
      await delay(500 * tries);
    }
    return await this.#commit(peer, move);
  }

  async #commit(peer: Peer, move: Move): Promise<CommittedMove> {
    const { actor } = move;
    const request = { actor, header: true, method: "POST", path: `${pathOf(move)}/commit` };
    return await peer.link.json(CommittedMoveSchema, request, AbortSignal.timeout(COMMIT_MS));
  }

  /** Does here what the other node's word means. */
  async #end(move: Move, outcome: CommittedMove): Promise<void> {
    const { spaces, leaving, journal, fleet } = this.parts;
    if (outcome.state === "unknown") return await this.#wakeAgain(move);
    leaving.end(move.space);
    try {
      // Who waits for it meanwhile comes after this in its queue, and finds it gone.
      const entry = await spaces.find(move.space).catch(ifMissing);
      if (entry?.id === move.containerId) await spaces.remove(move.space, true).catch(ifMissing);
    } catch (error) {
      leaving.begin(move.space, move.node);
      throw error;
    }
    await journal.remove(move.id);
    const peer = fleet.peers().find(({ machine }) => machine.name === move.node);
    if (peer) fleet.learn(peer, move.space, true);
  }

  /** Ends a move whose copy is nothing yet. */
  async #giveUp(peer: Peer, move: Move): Promise<void> {
    const request = { actor: move.actor, header: true, method: "DELETE", path: pathOf(move) };
    await peer.link
      .json(MessageSchema, request, AbortSignal.timeout(ABANDON_MS))
      .catch((error: unknown) =>
        this.parts.log.info({ err: error }, "a copy was not given up yet"),
      );
    await this.#wakeAgain(move).catch((error: unknown) => {
      this.parts.log.warn({ err: error, space: move.space }, "a space was not woken after a move");
      this.#unsettled.set(move.id, move);
    });
  }

  async #wakeAgain(move: Move): Promise<void> {
    const { spaces, leaving, journal } = this.parts;
    leaving.end(move.space);
    const entry = await spaces.find(move.space).catch(ifMissing);
    if (move.wasRunning && entry?.id === move.containerId) await spaces.resume(move.space);
    await journal.remove(move.id);
  }

  /** Settles what can be. */
  async #settleAll(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (const move of [...this.#unsettled.values()]) {
        await this.#settle(move).catch((error: unknown) => {
          this.parts.log.debug({ err: error, space: move.space }, "a move is not settled yet");
        });
      }
    } finally {
      this.#busy = false;
    }
  }

  async #settle(move: Move): Promise<void> {
    const { fleet, recorder, spaces } = this.parts;
    // Throws while the engine is gone.
    await spaces.list();
    let moved = false;
    if (move.phase === "sending") {
      const peer = fleet.online().find(({ machine }) => machine.name === move.node);
      this.#unsettled.delete(move.id);
      if (peer) await this.#giveUp(peer, move);
      else await this.#wakeAgain(move);
    } else {
      const peer = await fleet.wanted(move.node);
      if (!peer) return;
      const outcome = await this.#commit(peer, move);
      await this.#end(move, outcome);
      moved = outcome.state === "moved";
      this.#unsettled.delete(move.id);
    }
    const { space, node } = move;
    const meta = { node, outcome: moved ? "ok" : "undone", settled: true };
    recorder.note({ type: "space.move", space, actor: "system", meta });
  }
}

/** Why the other node can't take a space, in words that are true here. */
function refusal(error: unknown, peer: Peer): unknown {
  const { name } = peer.machine;
  if (peer.gone.signal.aborted) return unreachable(peer);
  if (error instanceof PeerFault) {
    return new ClawdspaceError(
      "node_unreachable",
      `Node "${name}" can't be used: ${error.message}`,
    );
  }
  if (!(error instanceof ClawdspaceError)) return error;
  const { code, message, issues } = error;
  const text = `Node "${name}" can't take the space, which stays where it is. It says: ${message}`;
  return new ClawdspaceError(code, text, issues ? { issues } : {});
}

/** What a space is made from, without what only holds on this node. */
function portable(spec: SpaceSpec): SpaceSpec {
  const { address, gateway, claimed, gpus, move, ...rest } = spec;
  return rest;
}

const toAsker = ({ actor, from }: MoveOptions) => ({ actor, from, header: true });

const pathOf = ({ id, space }: Move) => `/api/peer/moves/${space}/${id}`;

function ifMissing(error: unknown): undefined {
  if (error instanceof ClawdspaceError && error.code === "not_found") return undefined;
  throw error;
}

/** The body of an answer. Throws the error that it tells of. */
function toAnswer(status: number, text: string): unknown {
  const json: unknown = JSON.parse(text);
  const fault = ErrorBodySchema.safeParse(json);
  if (status < 300 || !fault.success) return json;
  const { code, error, issues } = fault.data;
  throw new ClawdspaceError(code, error, issues ? { issues } : {});
}
