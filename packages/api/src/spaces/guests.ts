import { ClawdspaceError } from "@clawdspace/protocol";
import { type Engine, EngineError } from "../engine/engine.js";
import { GuestConnection } from "../guest/index.js";
import { type Guest, GuestError } from "../guest/types.js";
import { openHostPipes } from "../processes/host-pipes.js";
import type { SpaceEntry } from "./space-entry.js";

/** The connections to the guest agents of running spaces: one for each container, opened when first needed. */
export class Guests {
  readonly #open = new Map<string, Promise<GuestConnection>>();

  constructor(private readonly engine: Engine) {}

  /** The guest agent of a container that is awake. Throws `space_broken` where it does not answer. */
  async of(entry: Pick<SpaceEntry, "id" | "name"> & Partial<SpaceEntry>): Promise<Guest> {
    const guest = await (this.#open.get(entry.id) ?? this.#connect(entry));
    if (entry.pid && !guest.prefersPipes) {
      guest.preferPipes((pipes) => openHostPipes(entry.id, entry.pid ?? 0, pipes));
    }
    return guest;
  }

  #connect({ id, name }: Pick<SpaceEntry, "id" | "name">): Promise<GuestConnection> {
    const opening = GuestConnection.open((signal) => this.#attach(id, signal), {
      onClosed: () => this.#forget(id, opening),
    }).catch((cause: unknown) => {
      this.#forget(id, opening);
      throw new ClawdspaceError(
        "space_broken",
        `The guest agent of space "${name}" does not answer. Stop and start the space, or remove it.`,
        { cause },
      );
    });
    this.#open.set(id, opening);
    return opening;
  }

  /** The connection to a space's guest agent, if there is one: none is opened for this. */
  connected(entry: SpaceEntry): Promise<Guest> | undefined {
    return this.#open.get(entry.id);
  }

  /** Lets go of a space's connection, as when its container has stopped or is gone. */
  close(entry: Pick<SpaceEntry, "id">): void {
    const open = this.#open.get(entry.id);
    this.#open.delete(entry.id);
    open?.then(
      (guest) => guest.close(),
      () => {},
    );
  }

  closeAll(): void {
    for (const open of this.#open.values()) {
      open.then(
        (guest) => guest.close(),
        () => {},
      );
    }
    this.#open.clear();
  }

  #forget(id: string, connection: Promise<GuestConnection>): void {
    if (this.#open.get(id) === connection) this.#open.delete(id);
  }

  async #attach(id: string, signal: AbortSignal) {
    try {
      return await this.engine.attach(id, signal);
    } catch (error) {
      const ended =
        error instanceof EngineError && (error.kind === "not_found" || error.kind === "conflict");
      throw ended ? new GuestError("closed", "The space is not running.", { cause: error }) : error;
    }
  }
}
