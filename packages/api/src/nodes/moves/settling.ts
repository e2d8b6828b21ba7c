import { setTimeout as delay } from "node:timers/promises";
import { ClawdspaceError, MessageSchema } from "@clawdspace/protocol";
import type { FastifyBaseLogger } from "fastify";
import type { Recorder } from "../../audit/recorder.js";
import type { SpaceService } from "../../spaces/space-service.js";
import type { Fleet } from "../fleet.js";
import type { Peer } from "../peer.js";
import type { Leaving } from "./leaving.js";
import type { Move, MoveJournal } from "./move-journal.js";
import { type CommittedMove, CommittedMoveSchema } from "./peer-moves.js";

const COMMIT_MS = 30_000;
const ABANDON_MS = 3000;
/** How long the other node is asked once more by who wants the space back. */
const LAST_WORD_MS = 5000;
/** How often what is unsettled is looked at. */
const SETTLE_MS = 2000;
/** How often a request itself asks for the outcome of a move before it leaves that to later. */
const COMMIT_TRIES = 3;

interface Parts {
  fleet: Fleet;
  spaces: SpaceService;
  leaving: Leaving;
  journal: MoveJournal;
  recorder: Recorder;
  log: FastifyBaseLogger;
}

/**
 * Brings moves to their end: by the other node's word once the copy there may be the space, else by using what is here again.
 * What can't be ended at once is looked at until it can.
 */
export class Settling {
  /** Moves that no request looks after any more. Who takes one out is the one that ends it. */
  readonly #open = new Map<string, Move>();
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(private readonly parts: Parts) {}

  /** Takes up what an earlier daemon was killed in: before this resolves none of these spaces may be used. */
  async start(): Promise<void> {
    for (const move of await this.parts.journal.load()) {
      this.parts.leaving.begin(move.space, move.node);
      this.#open.set(move.id, move);
    }
    this.#timer = setInterval(() => void this.#settleAll(), SETTLE_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * Asks for the outcome of a move whose copy may be the space by now, and does here what it means. Throws `node_unreachable`
   * where the other node doesn't say; then that is left to later.
   */
  async conclude(peer: Peer, move: Move): Promise<CommittedMove> {
    const { log } = this.parts;
    const { space, node } = move;
    const outcome = await this.#insist(peer, move).catch((cause: unknown) => {
      log.warn({ err: cause, space }, "the outcome of a move is open");
      this.#open.set(move.id, move);
      const message = `Node "${node}" has got the space "${space}", but doesn't say whether it keeps it. As soon as it answers, the copy here is removed or used again; until then neither is lost. If it never comes back, DELETE /api/spaces/${space}/move takes the copy here as the space.`;
      throw new ClawdspaceError("node_unreachable", message, { cause });
    });
    await this.#end(move, outcome).catch((error: unknown) => {
      log.warn({ err: error, space }, "a move could not be ended here yet");
      this.#open.set(move.id, move);
    });
    return outcome;
  }

  /** Ends a move whose copy is nothing yet. */
  async giveUp(peer: Peer | undefined, move: Move): Promise<void> {
    const { log } = this.parts;
    const request = { actor: move.actor, header: true, method: "DELETE", path: pathOf(move) };
    await peer?.link
      .json(MessageSchema, request, AbortSignal.timeout(ABANDON_MS))
      .catch((error: unknown) => log.info({ err: error }, "a copy was not given up yet"));
    await this.#wakeAgain(move).catch((error: unknown) => {
      log.warn({ err: error, space: move.space }, "a space was not woken after a move");
      this.#open.set(move.id, move);
    });
  }

  /**
   * Takes the copy here as the space again, where the other node doesn't come back to say which of the two it is. Asks it once more
   * first: if it answers, its word counts. Throws `wrong_state` where no outcome is open, or the other node has the space.
   */
  async takeBack(space: string): Promise<void> {
    const { leaving, journal } = this.parts;
    const move = [...this.#open.values()].find((each) => each.space === space);
    if (!move) {
      leaving.check(space);
      throw new ClawdspaceError("wrong_state", `No move of the space "${space}" is open.`);
    }
    // Asked whatever it is taken for: it may have come back this moment.
    const peer = this.#peerOf(move);
    if (peer && (await this.#settle(move, { peer, ms: LAST_WORD_MS }).catch(() => false))) {
      const message = `Node "${move.node}" answered: it has the space "${space}".`;
      throw new ClawdspaceError("wrong_state", message);
    }
    // Whatever that node says from now on comes too late.
    if (!this.#open.delete(move.id)) return;
    const kept: Move = { ...move, phase: "sending" };
    try {
      await journal.write(kept);
    } catch (error) {
      this.#open.set(move.id, move);
      throw error;
    }
    await this.giveUp(undefined, kept);
  }

  /** The other node, whatever it is taken for. */
  #peerOf({ node }: Move): Peer | undefined {
    return this.parts.fleet.peers().find(({ machine }) => machine.name === node);
  }

  async #insist(peer: Peer, move: Move): Promise<CommittedMove> {
    for (let tries = 1; tries < COMMIT_TRIES; tries++) {
      const outcome = await this.#commit(peer, move).catch(() => undefined);
      if (outcome) return outcome;
      await delay(500 * tries);
    }
    return await this.#commit(peer, move);
  }

  async #commit(peer: Peer, move: Move, ms = COMMIT_MS): Promise<CommittedMove> {
    const { actor } = move;
    const request = { actor, header: true, method: "POST", path: `${pathOf(move)}/commit` };
    return await peer.link.json(CommittedMoveSchema, request, AbortSignal.timeout(ms));
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
    const peer = this.#peerOf(move);
    if (peer && outcome.state === "moved") fleet.learn(peer, move.space, true);
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
      const settled = [...this.#open.values()].map(async (move) => {
        await this.#settle(move).catch((error: unknown) => {
          this.parts.log.debug({ err: error, space: move.space }, "a move is not settled yet");
        });
      });
      await Promise.all(settled);
    } finally {
      this.#busy = false;
    }
  }

  /** Resolves to whether the space is at the other node, or was and has been removed there. Throws while that can't be told. */
  async #settle(move: Move, asking: { peer?: Peer; ms?: number } = {}): Promise<boolean> {
    const { fleet, recorder, spaces } = this.parts;
    // Throws while the engine is gone.
    await spaces.list();
    let moved = false;
    if (move.phase === "sending") {
      const peer = fleet.online().find(({ machine }) => machine.name === move.node);
      if (!this.#open.delete(move.id)) return false;
      await this.giveUp(peer, move);
    } else {
      const peer = asking.peer ?? (await fleet.wanted(move.node));
      if (!peer) return false;
      const outcome = await this.#commit(peer, move, asking.ms);
      moved = outcome.state !== "unknown";
      if (!this.#open.delete(move.id)) return moved;
      try {
        await this.#end(move, outcome);
      } catch (error) {
        this.#open.set(move.id, move);
        throw error;
      }
    }
    const { space, node } = move;
    const meta = { node, outcome: moved ? "ok" : "undone", settled: true };
    recorder.note({ type: "space.move", space, actor: "system", meta });
    return moved;
  }
}

/** Where a node is spoken to of one move. */
export const pathOf = ({ id, space }: Move) => `/api/peer/moves/${space}/${id}`;

function ifMissing(error: unknown): undefined {
  if (error instanceof ClawdspaceError && error.code === "not_found") return undefined;
  throw error;
}
