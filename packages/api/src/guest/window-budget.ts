const TOTAL = 4 << 20;
const LEAST = 16 << 10;
export const LARGEST_WINDOW = 1 << 20;

/**
 * What the guest may have sent and nobody has consumed, over all streams of a connection: new streams get a quarter
 * of what is left, so that one has all the speed it wants and many can't fill the memory.
 */
export class WindowBudget {
  #left = TOTAL;

  /** Bytes for a new stream, at most `wanted`; to be given back when it ends. */
  take(wanted: number = LARGEST_WINDOW): number {
    const share = Math.max(LEAST, Math.floor(this.#left / 4));
    const window = Math.min(wanted, share, LARGEST_WINDOW);
    this.#left -= window;
    return window;
  }

  give(window: number): void {
    this.#left += window;
  }
}
