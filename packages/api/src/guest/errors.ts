import { constants } from "node:os";
import { PayloadReader } from "./payload.js";
import { GuestError, type GuestErrorCode, type GuestStartStep } from "./types.js";

const NUMBER_OUTSIDE = 1000;
const NUMBER_PRECONDITION = 1001;

const CODES: Record<string, GuestErrorCode> = {
  OUTSIDE: "outside",
  PRECONDITION: "precondition",
  ENOENT: "not_found",
  ESRCH: "not_found",
  EEXIST: "exists",
  EACCES: "permission",
  EPERM: "permission",
  EROFS: "permission",
  ENOTDIR: "not_directory",
  EISDIR: "is_directory",
  ENOTEMPTY: "not_empty",
  EINVAL: "invalid",
  ENAMETOOLONG: "invalid",
  ELOOP: "invalid",
  ENOTTY: "invalid",
  ENOEXEC: "invalid",
  EXDEV: "invalid",
  EPROTO: "invalid",
  ENOSPC: "no_space",
  EDQUOT: "no_space",
  EFBIG: "no_space",
  EAGAIN: "limit",
  ENOMEM: "limit",
  EMFILE: "limit",
  ENFILE: "limit",
  EBUSY: "limit",
  E2BIG: "limit",
  ENOBUFS: "limit",
  ENOSYS: "unsupported",
  EPIPE: "closed",
  ECONNRESET: "closed",
  ECONNREFUSED: "refused",
  ETIMEDOUT: "timeout",
  ECANCELED: "aborted",
};

const STEPS: (GuestStartStep | undefined)[] = [
  undefined,
  "exec",
  "cwd",
  "fork",
  "pty",
  "pipe",
  "limits",
];

const NAMES = new Map<number, string>([
  [NUMBER_OUTSIDE, "OUTSIDE"],
  [NUMBER_PRECONDITION, "PRECONDITION"],
  ...Object.entries(constants.errno).map(([name, number]): [number, string] => [number, name]),
  [constants.errno.EAGAIN, "EAGAIN"],
]);

/** The error that an ERROR frame carries. Its text is the space's: shown, never acted on. */
export function decodeError(payload: Buffer, what: string): GuestError {
  const reader = new PayloadReader(payload);
  const number = reader.u16();
  const step = STEPS[reader.u8()];
  reader.u8();
  const said = reader.rest().subarray(0, 512).toString();
  const errno = NAMES.get(number) ?? `E${number}`;
  const code = CODES[errno] ?? "io";
  const detail = said === "" ? "" : `: ${said}`;
  return new GuestError(code, `${what} failed (${errno})${detail}`, {
    errno,
    ...(step === undefined ? {} : { step }),
  });
}

/** What a parser of the guest's bytes threw: its own words, or else "protocol". */
export function asGuestError(cause: unknown): GuestError {
  if (cause instanceof GuestError) return cause;
  return new GuestError("protocol", "The guest agent's bytes could not be read", { cause });
}
