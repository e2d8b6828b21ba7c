/** The values of one moment, in a fixed order. */
export type Point = readonly number[];

/** The last values of a few numbers over time: a ring of fixed size, 4 bytes for each. */
export class Series {
  readonly #values: Float32Array;
  /** Seconds since 1970. */
  readonly #times: Uint32Array;
  #count = 0;

  constructor(
    private readonly length: number,
    private readonly width: number,
  ) {
    this.#values = new Float32Array(length * width);
    this.#times = new Uint32Array(length);
  }

  add(at: Date, values: Point): void {
    const slot = this.#count++ % this.length;
    this.#times[slot] = Math.round(at.getTime() / 1000);
    for (let n = 0; n < this.width; n++) {
      this.#values[slot * this.width + n] = values[n] ?? 0;
    }
  }

  /** Oldest first. */
  *since(oldest: Date): Generator<{ at: Date; values: Float32Array }> {
    for (let n = Math.max(0, this.#count - this.length); n < this.#count; n++) {
      const slot = n % this.length;
      const at = new Date((this.#times[slot] ?? 0) * 1000);
      if (at < oldest) continue;
      yield { at, values: this.#values.subarray(slot * this.width, (slot + 1) * this.width) };
    }
  }
}
