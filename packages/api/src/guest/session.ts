import { randomBytes } from "node:crypto";
import { asGuestError, decodeError } from "./errors.js";
import {
  encodeFrame,
  encodeHeader,
  encodeHello,
  FLAG_MORE,
  FLAG_OPEN,
  FrameDecoder,
  type HelloAck,
  HelloScanner,
  MAX_PAYLOAD,
  MAX_REPLY,
  MAX_REQUEST,
  NONCE_SIZE,
  PROTOCOL_MAJOR,
  Receive,
  Send,
  sessionTag,
} from "./frames.js";
import { PayloadReader } from "./payload.js";
import { GuestError, type GuestTransport } from "./types.js";

/** What may come before the handshake's answer: whatever was under way to a predecessor. */
const MAX_FOREIGN_BYTES = 8 << 20;
/** More than this unsent, and a guest that doesn't read gets no further requests. */
const MAX_UNSENT = 4 << 20;
/** Streams write on only below this. */
const CONGESTED = 1 << 20;
/** Streams that were cancelled and not yet ended by the guest. */
const MAX_CANCELLED = 2048;

/** What becomes of a stream. What throws ends the session; the end is one done or failed, or a failed done and failed. */
export type StreamHandler = {
  /** What it is about, for messages: "start", "read /a.txt". */
  readonly what: string;
  opened?(payload: Buffer): void;
  data?(flags: number, payload: Buffer): void;
  ended?(): void;
  credit?(consumed: number): void;
  done(payload: Buffer): void;
  /** Code "unavailable": the transport broke; all others are the guest's answer. */
  failed(error: GuestError): void;
};

/** One handshaken conversation, over one transport or two after one another. Knows frames, requests and streams; not what they mean. */
export class GuestSession {
  readonly #tag: Buffer;
  readonly #onEnd: (error: GuestError) => void;
  readonly #streams = new Map<number, StreamHandler>();
  readonly #cancelled = new Set<number>();
  #decoder = this.#newDecoder();
  #lastStream = 0;
  #corked = false;
  #ended: GuestError | undefined;
  #reply: { stream: number; parts: Buffer[]; length: number } | undefined;
  #drained: (() => void)[] = [];
  /** What we write into. Answers come from it too, unless they still come from the one before. */
  #transport: GuestTransport;
  #before: GuestTransport | undefined;

  private constructor(
    transport: GuestTransport,
    tag: Buffer,
    readonly ack: HelloAck,
    onEnd: (error: GuestError) => void,
  ) {
    this.#transport = transport;
    this.#tag = tag;
    this.#onEnd = onEnd;
  }

  /**
   * Shakes hands over a fresh transport. Throws "unavailable", "version", "protocol" or "aborted" and closes the
   * transport then. onEnd is told once when the session ends, unless it was closed.
   */
  static open(
    transport: GuestTransport,
    options: { stopGraceMs: number; timeoutMs: number; signal: AbortSignal },
    onEnd: (error: GuestError) => void,
  ): Promise<GuestSession> {
    const nonce = randomBytes(NONCE_SIZE);
    const scanner = new HelloScanner(nonce, MAX_FOREIGN_BYTES);
    return new Promise((resolve, reject) => {
      let session: GuestSession | undefined;
      const end = (error: GuestError): void => {
        clearTimeout(timer);
        options.signal.removeEventListener("abort", abort);
        if (session) {
          session.#lost(transport, error);
          return;
        }
        transport.stdout.removeAllListeners("data");
        transport.close();
        reject(error);
      };
      const abort = (): void => end(new GuestError("aborted", "The handshake was aborted"));
      const timer = setTimeout(
        () => end(new GuestError("unavailable", "The guest agent does not answer the handshake")),
        options.timeoutMs,
      );
      const receive = (chunk: Buffer): void => {
        try {
          if (session) {
            session.#push(transport, chunk);
            return;
          }
          const found = scanner.push(chunk);
          if (!found) return;
          if (found.ack.major !== PROTOCOL_MAJOR) throw versionError(found.ack);
          clearTimeout(timer);
          options.signal.removeEventListener("abort", abort);
          session = new GuestSession(transport, sessionTag(nonce), found.ack, onEnd);
          resolve(session);
          session.#push(transport, found.rest);
        } catch (cause) {
          end(asGuestError(cause));
        }
      };
      options.signal.addEventListener("abort", abort);
      const drained = (): void => {
        if (session) session.#drain();
      };
      listen(transport, { receive, lost: end, drained });
      if (options.signal.aborted) abort();
      else transport.stdin.write(encodeHello(nonce, options.stopGraceMs));
    });
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Whether streams should wait for whenWritable before they write on. */
  get congested(): boolean {
    return this.#transport.stdin.writableLength > CONGESTED;
  }

  /** Calls once there is room again; never where the session ends before (its streams fail then). */
  whenWritable(call: () => void): void {
    if (this.congested) this.#drained.push(call);
    else process.nextTick(call);
  }

  /**
   * Sends a request; the handler hears the answer. Throws "unavailable" where the session has ended and "limit"
   * where the guest doesn't read or the request is too large; the handler hears nothing then.
   */
  open(request: Buffer, handler: StreamHandler): number {
    if (this.#ended) throw this.#ended;
    if (request.length > MAX_REQUEST) {
      throw new GuestError(
        "limit",
        `${handler.what}: the request has ${request.length} bytes, at most ${MAX_REQUEST} are taken`,
      );
    }
    if (this.#transport.stdin.writableLength > MAX_UNSENT) {
      throw new GuestError("limit", `${handler.what}: the guest agent takes no requests`);
    }
    const stream = this.#nextStream();
    this.#streams.set(stream, handler);
    let rest = request;
    for (; rest.length > MAX_PAYLOAD; rest = rest.subarray(MAX_PAYLOAD)) {
      this.#send(Send.request, FLAG_MORE, stream, rest.subarray(0, MAX_PAYLOAD));
    }
    this.#send(Send.request, 0, stream, rest);
    return stream;
  }

  /** At most MAX_PAYLOAD bytes; the caller keeps to the stream's window. */
  data(stream: number, payload: Buffer): void {
    if (!this.#streams.has(stream)) return;
    if (payload.length < 1024) {
      this.#send(Send.data, 0, stream, payload);
      return;
    }
    this.#write(encodeHeader(Send.data, 0, payload.length, stream));
    this.#write(payload);
    this.#write(this.#tag);
  }

  end(stream: number): void {
    if (this.#streams.has(stream)) this.#send(Send.end, 0, stream, EMPTY);
  }

  credit(stream: number, consumed: number): void {
    if (!this.#streams.has(stream)) return;
    const payload = Buffer.allocUnsafe(8);
    payload.writeUInt32LE(consumed % 0x1_0000_0000, 0);
    payload.writeUInt32LE(Math.floor(consumed / 0x1_0000_0000), 4);
    this.#send(Send.credit, 0, stream, payload);
  }

  /** The handler hears nothing any more. */
  cancel(stream: number): void {
    if (!this.#streams.delete(stream) || this.#ended) return;
    this.#cancelled.add(stream);
    this.#send(Send.cancel, 0, stream, EMPTY);
    if (this.#cancelled.size > MAX_CANCELLED) {
      this.#end(new GuestError("protocol", "The guest agent does not end cancelled streams"));
    }
  }

  /**
   * Goes on over another transport to the same guest, which has it already. What was sent comes before what follows, both
   * ways, and no stream notices. The one before is closed when the guest has said its last word there.
   */
  moveTo(transport: GuestTransport): void {
    if (this.#ended || this.#before) {
      transport.close();
      return;
    }
    this.#send(Send.switch, 0, 0, EMPTY);
    this.#flush();
    this.#before = this.#transport;
    this.#transport = transport;
    // Nothing is read from it before the last word of the other.
    transport.stdout.pause();
    listen(transport, {
      receive: (chunk) => this.#push(transport, chunk),
      lost: (error) => this.#lost(transport, error),
      drained: () => this.#drain(),
    });
    this.#drain();
  }

  /** Detaches. Streams fail with the reason; onEnd is not called. */
  close(reason: GuestError): void {
    this.#finish(reason);
  }

  #nextStream(): number {
    do this.#lastStream = (this.#lastStream % 0xffff_ffff) + 1;
    while (this.#streams.has(this.#lastStream) || this.#cancelled.has(this.#lastStream));
    return this.#lastStream;
  }

  #send(type: number, flags: number, stream: number, payload: Buffer): void {
    this.#write(encodeFrame(type, flags, stream, payload, this.#tag));
  }

  /** What is written in one turn goes out in one system call. */
  #write(bytes: Buffer): void {
    const { stdin } = this.#transport;
    if (this.#ended || stdin.destroyed) return;
    if (!this.#corked) {
      this.#corked = true;
      stdin.cork();
      process.nextTick(() => this.#flush());
    }
    stdin.write(bytes);
  }

  #flush(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#transport.stdin.uncork();
  }

  #drain(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const call of waiting) call();
  }

  #push(from: GuestTransport, chunk: Buffer): void {
    if (this.#ended || from !== (this.#before ?? this.#transport)) return;
    try {
      this.#decoder.push(chunk);
    } catch (cause) {
      this.#end(asGuestError(cause));
    }
  }

  #newDecoder(): FrameDecoder {
    return new FrameDecoder((type, flags, stream, payload) =>
      this.#receive(type, flags, stream, payload),
    );
  }

  /** A transport's end is the session's, unless the session has left it. */
  #lost(transport: GuestTransport, error: GuestError): void {
    if (transport === this.#transport || transport === this.#before) this.#end(error);
  }

  /** The guest's last word over the transport before: what it says now comes over the other. */
  #switched(): void {
    if (!this.#before) throw new GuestError("protocol", "The guest agent moved unasked");
    this.#before.close();
    this.#before = undefined;
    this.#decoder = this.#newDecoder();
    this.#transport.stdout.resume();
  }

  #receive(type: number, flags: number, stream: number, payload: Buffer): void {
    if (this.#ended) return;
    if (type === Receive.desync) {
      throw new GuestError("unavailable", "The guest agent lost the order of our bytes");
    }
    if (this.#reply && (type !== Receive.reply || stream !== this.#reply.stream)) {
      throw new GuestError("protocol", "The guest agent interrupted a reply");
    }
    if (type === Receive.switched) {
      this.#switched();
      return;
    }
    const handler = this.#streams.get(stream);
    if (handler) this.#deliver(type, flags, stream, payload, handler);
    else if (this.#cancelled.has(stream)) this.#settleCancelled(type, flags, stream);
    else
      throw new GuestError(
        "protocol",
        `The guest agent speaks on stream ${stream}, which is closed`,
      );
  }

  /** A cancelled stream ends with its last reply or an error; what still comes before is dropped. */
  #settleCancelled(type: number, flags: number, stream: number): void {
    const last = type === Receive.error || (type === Receive.reply && flags === 0);
    if (last) this.#cancelled.delete(stream);
  }

  #deliver(
    type: number,
    flags: number,
    stream: number,
    payload: Buffer,
    handler: StreamHandler,
  ): void {
    if (type === Receive.data && handler.data) {
      handler.data(flags, payload);
    } else if (type === Receive.reply) {
      this.#replied(flags, stream, payload, handler);
    } else if (type === Receive.error) {
      this.#settle(stream, handler, () => handler.failed(decodeError(payload, handler.what)));
    } else if (type === Receive.credit && handler.credit) {
      handler.credit(new PayloadReader(payload).size());
    } else if (type === Receive.end && handler.ended) {
      handler.ended();
    } else {
      throw new GuestError("protocol", `The guest agent answers ${handler.what} with type ${type}`);
    }
  }

  #replied(flags: number, stream: number, payload: Buffer, handler: StreamHandler): void {
    let whole = payload;
    if (this.#reply || (flags & FLAG_MORE) !== 0) {
      this.#reply ??= { stream, parts: [], length: 0 };
      this.#reply.parts.push(payload);
      this.#reply.length += payload.length;
      if (this.#reply.length > MAX_REPLY) {
        throw new GuestError("protocol", "The guest agent sent too long a reply");
      }
      if ((flags & FLAG_MORE) !== 0) return;
      whole = Buffer.concat(this.#reply.parts);
      this.#reply = undefined;
    }
    if ((flags & FLAG_OPEN) !== 0) {
      if (!handler.opened) throw new GuestError("protocol", `No stream: ${handler.what}`);
      handler.opened(whole);
      return;
    }
    this.#settle(stream, handler, () => handler.done(whole));
  }

  /** The end of a stream. An end that makes no sense is told to the handler as well, before it ends the session. */
  #settle(stream: number, handler: StreamHandler, tell: () => void): void {
    this.#streams.delete(stream);
    try {
      tell();
    } catch (cause) {
      const error = asGuestError(cause);
      handler.failed(error);
      throw error;
    }
  }

  #end(error: GuestError): void {
    this.#finish(error, () => this.#onEnd(error));
  }

  /** Whoever owns the session hears of its end before the streams do: those may ask for the next one. */
  #finish(error: GuestError, tell: () => void = () => {}): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#transport.close();
    this.#before?.close();
    this.#drained = [];
    const handlers = [...this.#streams.values()];
    this.#streams.clear();
    tell();
    for (const handler of handlers) handler.failed(error);
  }
}

const EMPTY = Buffer.alloc(0);

/** These listeners stay for good: a late error of a closed transport must find somebody who listens. */
function listen(
  { stdin, stdout }: GuestTransport,
  to: { receive(chunk: Buffer): void; lost(error: GuestError): void; drained(): void },
): void {
  const lost = (cause?: unknown): void =>
    to.lost(
      new GuestError("unavailable", "The connection to the guest agent broke", {
        ...(cause === undefined ? {} : { cause }),
      }),
    );
  for (const stream of [stdin, stdout]) stream.on("error", lost).on("close", lost);
  stdout.on("end", lost);
  stdin.on("drain", () => to.drained());
  stdout.on("data", (chunk: Buffer) => to.receive(chunk));
}

function versionError(ack: HelloAck): GuestError {
  return new GuestError(
    "version",
    `The space's guest agent speaks protocol ${ack.major}.${ack.minor}, wanted is ${PROTOCOL_MAJOR}.x: ` +
      "stop and start the space to give it the current one",
  );
}
