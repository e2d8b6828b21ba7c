import { ClawdspaceError, type ErrorCode } from "@clawdspace/protocol";
import { GuestError, type GuestErrorCode } from "../guest/types.js";

const SAYINGS: Partial<Record<GuestErrorCode, [ErrorCode, (path: string) => string]>> = {
  not_found: ["not_found", (path) => `There is no ${path} in the workspace.`],
  outside: [
    "invalid_request",
    (path) =>
      `A symlink on the way of ${path} leads out of the workspace, which no path may leave.`,
  ],
  exists: [
    "exists",
    (path) => `${path} is there already. Remove it, or say that it may be replaced.`,
  ],
  not_directory: ["wrong_state", (path) => `${path} needs a folder where there is something else.`],
  is_directory: ["wrong_state", (path) => `${path} is a folder, where a file is wanted.`],
  not_empty: ["wrong_state", (path) => `${path} is a folder that is not empty. Say recursive.`],
  permission: ["forbidden", (path) => `The space's user may not do this to ${path}.`],
  precondition: [
    "precondition_failed",
    (path) => `${path} is not what the request's conditions ask for. Read it again.`,
  ],
  no_space: ["no_space_left", (path) => `The workspace is full, so ${path} could not be written.`],
};

/** Runs file operations so that what fails names the path that the request named. */
export async function naming<T>(path: { toString(): string }, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw named(error, path);
  }
}

/** A failure of a file operation, in words about its path. */
export function named(error: unknown, path: { toString(): string }): unknown {
  if (!(error instanceof GuestError)) return error;
  const saying = SAYINGS[error.code];
  const shown = JSON.stringify(`${path}`);
  if (saying) return new ClawdspaceError(saying[0], saying[1](shown), { cause: error });
  if (error.code !== "invalid" && error.code !== "limit" && error.code !== "unsupported")
    return error;
  const code = error.code === "invalid" ? "invalid_request" : "unprocessable";
  return new ClawdspaceError(code, `${shown} can't be used here: ${error.message}.`, {
    cause: error,
  });
}
