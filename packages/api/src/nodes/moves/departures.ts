import { randomUUID } from "node:crypto";
import {
  type Actor,
  ClawdspaceError,
  ErrorBodySchema,
  MessageSchema,
  type Space,
} from "@clawdspace/protocol";
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
import { type PreparedMove, TreeDigestSchema } from "./peer-moves.js";
import { pathOf, type Settling } from "./settling.js";
import { digesting } from "./tree-digest.js";

/** An image may have to be pulled. */
const PREPARE_MS = 30 * 60_000;
const PROGRESS_BYTES = 8 * 1024 ** 2;

interface Parts {
  engine: Engine;
  fleet: Fleet;
  forwarder: NodeForwarder;
  spaces: SpaceService;
  envs: EnvStore;
  leaving: Leaving;
  journal: MoveJournal;
  settling: Settling;
  /** How many bytes a workspace holds, where that can be told. */
  sizeOf: (space: string) => Promise<number | undefined>;
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
  constructor(private readonly parts: Parts) {}

  /**
   * Moves a space. Throws, with the space as it was: `wrong_state`, `not_found`, `node_unreachable`, and why the other node can't
   * take it. Where the other node falls silent at the very end, `node_unreachable` says that the outcome is still open.
   */
  async move(name: string, node: string, options: MoveOptions): Promise<Space> {
    const { fleet, spaces, leaving, journal, settling } = this.parts;
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
      await journal.write(move);
      await this.#send(peer, move, entry, options);
      options.signal.throwIfAborted();
      move.phase = "committing";
      await journal.write(move);
    } catch (error) {
      await settling.giveUp(peer, move);
      throw options.signal.aborted
        ? new ClawdspaceError("cancelled", "The client went away, so the space was not moved.")
        : error;
    }
    const outcome = await settling.conclude(peer, move);
    if (outcome.state === "moved") return { ...outcome.space, node };
    throw outcome.state === "removed"
      ? new ClawdspaceError("not_found", `The space "${name}" was removed on node "${node}".`)
      : new ClawdspaceError(
          "wrong_state",
          `Node "${node}" did not keep its copy (${outcome.reason}), so the space "${name}" stays where it is.`,
        );
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

/** The body of an answer. Throws the error that it tells of. */
function toAnswer(status: number, text: string): unknown {
  const json: unknown = JSON.parse(text);
  const fault = ErrorBodySchema.safeParse(json);
  if (status < 300 || !fault.success) return json;
  const { code, error, issues } = fault.data;
  throw new ClawdspaceError(code, error, issues ? { issues } : {});
}
