import type { Writable } from "node:stream";

const CLOSE_FRAME = 0x88;
/** "Bad gateway", of the registered codes. */
const CODE = 1014;
/** What a control frame has room for beside the code. */
const MAX_REASON_BYTES = 123;

/**
 * Follows the frames of a WebSocket from a server, so that one that breaks off between two frames can still be closed with
 * a reason. It looks at the frames' heads alone.
 */
export class CloseFrames {
  #head: number[] = [];
  #payloadLeft = 0;
  #closed = false;

  /** Call it with every chunk that the client gets. */
  take(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const step = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= step;
        at += step;
        continue;
      }
      this.#head.push(chunk[at++] ?? 0);
      const length = payloadLength(this.#head);
      if (length === undefined) continue;
      this.#payloadLeft = length;
      this.#closed ||= this.#head[0] === CLOSE_FRAME;
      this.#head = [];
    }
  }

  /** Ends the client's socket with a close frame, where the server sent none and no frame is cut in two by it. */
  close(socket: Writable, reason: string): void {
    if (this.#closed || this.#payloadLeft > 0 || this.#head.length > 0 || !socket.writable) return;
    const text = Buffer.from(reason).subarray(0, MAX_REASON_BYTES);
    const head = Buffer.from([CLOSE_FRAME, text.length + 2, CODE >> 8, CODE & 0xff]);
    socket.end(Buffer.concat([head, text]));
  }
}

/** The length that a frame's head tells; undefined while the head isn't whole. Frames from servers have no mask. */
function payloadLength(head: number[]): number | undefined {
  if (head.length < 2) return undefined;
  const short = (head[1] ?? 0) & 0x7f;
  if (short < 126) return short;
  const wanted = short === 126 ? 4 : 10;
  if (head.length < wanted) return undefined;
  return head.slice(2, wanted).reduce((sum, byte) => sum * 256 + byte, 0);
}
