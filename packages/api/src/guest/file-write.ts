import { Writable } from "node:stream";
import { asGuestError } from "./errors.js";
import { decodeStat, encodeWrite } from "./file-codec.js";
import { MAX_PAYLOAD, WRITE_WINDOW } from "./frames.js";
import { beginStream, type GuestLink } from "./link.js";
import type { GuestSession } from "./session.js";
import {
  GuestError,
  type GuestFileWriter,
  type GuestPath,
  type GuestStat,
  type GuestWriteOptions,
} from "./types.js";

/**
 * Begins to write a file. The result rejects, and the stream is destroyed, with what went wrong; then, and where the
 * stream is destroyed before its end, the old file is as it was (append excepted).
 */
export function writeFile(
  link: GuestLink,
  path: GuestPath,
  options: GuestWriteOptions,
): GuestFileWriter {
  const what = `write ${path.toString()}`;
  let session: GuestSession | undefined;
  let id = 0;
  let sent = 0;
  let consumed = 0;
  let finished = false;
  let cancel = (): void => {};
  let resume: (() => void) | undefined;
  let resolveResult: (stat: GuestStat) => void = () => {};
  let rejectResult: (error: Error) => void = () => {};
  const result = new Promise<GuestStat>((resolve, reject) => {
    resolveResult = resolve;
    rejectResult = reject;
  });
  result.catch(() => {});

  /** Sends as much as window and transport take; the rest when they take more. */
  const send = (chunk: Buffer, callback: (error?: Error | null) => void): void => {
    resume = undefined;
    let rest = chunk;
    while (session && rest.length > 0 && sent - consumed < WRITE_WINDOW && !session.congested) {
      const room = Math.min(MAX_PAYLOAD, WRITE_WINDOW - (sent - consumed));
      const piece = rest.subarray(0, room);
      session.data(id, piece);
      sent += piece.length;
      rest = rest.subarray(piece.length);
    }
    if (rest.length === 0) {
      callback();
      return;
    }
    resume = () => send(rest, callback);
    if (session?.congested) session.whenWritable(() => resume?.());
  };

  const stream = new Writable({
    highWaterMark: 256 << 10,
    write(chunk: Buffer, _encoding, callback) {
      send(chunk, callback);
    },
    final(callback) {
      const end = (): void => {
        resume = undefined;
        session?.end(id);
        result.then(
          () => callback(),
          (error: Error) => callback(error),
        );
      };
      if (session) end();
      else resume = end;
    },
    destroy(error, callback) {
      options.signal?.removeEventListener("abort", abort);
      if (!finished) {
        cancel();
        rejectResult(error ?? new GuestError("aborted", `${what} was given up`));
      }
      callback(error);
    },
  });
  stream.on("error", () => {});

  const fail = (error: GuestError): void => {
    rejectResult(error);
    stream.destroy(error);
  };
  const abort = (): void => fail(new GuestError("aborted", `${what} was aborted`));
  options.signal?.addEventListener("abort", abort);
  if (options.signal?.aborted) {
    abort();
    return { stream, result };
  }

  const handler = {
    what,
    credit: (count: number) => {
      if (count > sent || count <= consumed) {
        throw new GuestError("protocol", `The guest agent took the impossible: ${what}`);
      }
      consumed = count;
      resume?.();
    },
    done: (payload: Buffer) => {
      const stat = decodeStat(payload);
      finished = true;
      resolveResult(stat);
      // An answer before the end was sent is none that was asked for.
      if (!stream.writableEnded) stream.destroy(new GuestError("protocol", `No end: ${what}`));
    },
    failed: (error: GuestError) => {
      finished = true;
      fail(error);
    },
  };
  let request: Buffer;
  try {
    request = encodeWrite(path, options);
  } catch (error) {
    fail(asGuestError(error));
    return { stream, result };
  }
  cancel = link.withSession(
    (ready) =>
      beginStream(ready, request, handler, fail, (opened) => {
        id = opened;
        session = ready;
        resume?.();
      }),
    fail,
  );
  return { stream, result };
}
