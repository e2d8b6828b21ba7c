import { Writable } from "node:stream";
import { asGuestError } from "./errors.js";
import { decodeStat, encodeWrite } from "./file-codec.js";
import { WRITE_WINDOW } from "./frames.js";
import { beginStream, type GuestLink } from "./link.js";
import { Sender } from "./sender.js";
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
  const sender = new Sender(what, WRITE_WINDOW);
  let finished = false;
  let cancel = (): void => {};
  let resolveResult: (stat: GuestStat) => void = () => {};
  let rejectResult: (error: Error) => void = () => {};
  const result = new Promise<GuestStat>((resolve, reject) => {
    resolveResult = resolve;
    rejectResult = reject;
  });
  result.catch(() => {});

  const stream = new Writable({
    highWaterMark: 256 << 10,
    write(chunk: Buffer, _encoding, callback) {
      sender.send(chunk, callback);
    },
    final(callback) {
      sender.end(() => {
        result.then(
          () => callback(),
          (error: Error) => callback(error),
        );
      });
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
    credit: (taken: number) => sender.credit(taken),
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
    (ready) => beginStream(ready, request, handler, fail, (id) => sender.begin(ready, id)),
    fail,
  );
  return { stream, result };
}
