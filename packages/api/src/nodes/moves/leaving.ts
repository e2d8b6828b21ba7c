import { ClawdspaceError } from "@clawdspace/protocol";

/** The spaces that are being moved to another node: until that is settled nobody wakes, starts or removes them here. */
export class Leaving {
  readonly #to = new Map<string, string>();

  /** Throws `wrong_state` where it is being moved already. */
  begin(space: string, node: string): void {
    this.check(space);
    this.#to.set(space, node);
  }

  end(space: string): void {
    this.#to.delete(space);
  }

  /** Throws `wrong_state` where the space is being moved. */
  check(space: string): void {
    const node = this.#to.get(space);
    if (node === undefined) return;
    throw new ClawdspaceError(
      "wrong_state",
      `The space "${space}" is being moved to node "${node}". Wait until it is there, and ask again.`,
      { retryAfterSeconds: 1 },
    );
  }
}
