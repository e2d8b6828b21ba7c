import type { Output } from "../output.js";
import { formatBytes } from "../output.js";

const REDRAW_MS = 100;
const WIDTH = 24;

/** Counts bytes that go by, and draws a bar on a terminal. */
export class Progress {
  bytes = 0;
  #total: number | undefined;
  readonly #started = Date.now();
  #drawn = 0;

  constructor(
    private readonly out: Output,
    private readonly shown: boolean,
  ) {}

  expect(total: number | undefined): void {
    this.#total = total;
  }

  async *count(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      this.bytes += piece.length;
      this.#draw();
      yield piece;
    }
  }

  end(): void {
    if (this.#drawn > 0) this.out.progress("");
    this.#drawn = 0;
  }

  #draw(): void {
    const now = Date.now();
    if (!this.shown || now - this.#drawn < REDRAW_MS) return;
    this.#drawn = now;
    const seconds = Math.max(0.001, (now - this.#started) / 1000);
    const rate = `${formatBytes(Math.round(this.bytes / seconds))}/s`;
    if (!this.#total) {
      this.out.progress(`${formatBytes(this.bytes)}  ${rate}`);
      return;
    }
    const part = Math.min(1, this.bytes / this.#total);
    const bar = "█".repeat(Math.round(part * WIDTH)).padEnd(WIDTH, "░");
    const left = Math.ceil((this.#total - this.bytes) / (this.bytes / seconds));
    this.out.progress(
      `${bar} ${Math.floor(part * 100)}%  ${formatBytes(this.bytes)} of ${formatBytes(this.#total)}  ${rate}  ${left} s left`,
    );
  }
}
