const TILDE = 0x7e;
const DOT = 0x2e;

/** Finds `~.` at the start of a line among what is typed, as ssh does; `~~` there is one `~`. */
export class LeaveKeys {
  #state: "line start" | "tilde" | "inside" = "line start";

  /** What is to be sent of it, and whether to leave then. */
  take(data: Uint8Array): { bytes: Uint8Array; leave: boolean } {
    const bytes: number[] = [];
    for (const byte of data) {
      if (this.#state === "tilde") {
        if (byte === DOT) return { bytes: Uint8Array.from(bytes), leave: true };
        bytes.push(TILDE);
        this.#state = "inside";
        if (byte === TILDE) continue;
      } else if (this.#state === "line start" && byte === TILDE) {
        this.#state = "tilde";
        continue;
      }
      bytes.push(byte);
      const endsLine = byte === 0x0d || byte === 0x0a || byte === 0x03 || byte === 0x04;
      this.#state = endsLine ? "line start" : "inside";
    }
    return { bytes: Uint8Array.from(bytes), leave: false };
  }
}
