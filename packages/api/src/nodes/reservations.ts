import { ClawdspaceError, formatSize } from "@clawdspace/protocol";

/** Memory that is promised to spaces while they are being made, so that two creates don't both count on the same. */
export class Reservations {
  #bytes = 0;

  /** @param free bytes that this node could give now. */
  constructor(private readonly free: () => number) {}

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Promises memory until the returned function is called. A create that was placed here by its room alone has to fit into what is
   * neither used nor promised: it throws `insufficient_resources` where it doesn't.
   */
  take(bytes: number, { placed = false }: { placed?: boolean }): () => void {
    const left = this.free() - this.#bytes;
    if (placed && bytes > left) {
      const has = formatSize(Math.max(0, Math.floor(left / 1024 ** 2)) * 1024 ** 2);
      throw new ClawdspaceError(
        "insufficient_resources",
        `The space asks for ${formatSize(bytes)} of memory and this node has ${has} left. Ask for less, or name another node.`,
        { issues: [{ path: "memory", message: `the node has ${has} left` }] },
      );
    }
    this.#bytes += bytes;
    let held = true;
    return () => {
      if (held) this.#bytes -= bytes;
      held = false;
    };
  }
}
