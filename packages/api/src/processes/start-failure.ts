import { ClawdspaceError, type ExecRequest } from "@clawdspace/protocol";
import { GuestError } from "../guest/types.js";
import type { ExecOutput } from "./command-runner.js";

/**
 * What a command says whose program can't be started, the way a shell would say it: 127 not found, 126 not executable.
 * undefined where that is not what happened. Throws `invalid_request` where it is the folder that can't be used.
 */
export function saidInstead(
  error: unknown,
  request: Pick<ExecRequest, "command" | "cwd">,
): ExecOutput[] | undefined {
  const failure = startFailure(error, request);
  if (!failure) return undefined;
  const data = Buffer.from(`${failure.message}\n`);
  return [
    { type: "stderr", offset: 0, data },
    { type: "exit", exitCode: failure.exitCode, timedOut: false },
  ];
}

/** As `saidInstead`, as what a shell would exit with and print. */
export function startFailure(
  error: unknown,
  request: Pick<ExecRequest, "command" | "cwd">,
): { exitCode: 126 | 127; message: string } | undefined {
  if (!(error instanceof GuestError)) return undefined;
  if (error.details.step === "cwd") {
    const message =
      error.code === "permission"
        ? "the command's user may not enter it"
        : "there is no such folder in the space";
    throw new ClawdspaceError(
      "invalid_request",
      `The folder "${request.cwd ?? "/workspace"}" can't be used: ${message}.`,
      { cause: error, issues: [{ path: "cwd", message }] },
    );
  }
  if (error.details.step !== "exec") return undefined;
  const program = typeof request.command === "string" ? "/bin/sh" : request.command[0];
  if (error.code === "not_found")
    return { exitCode: 127, message: `${program}: command not found` };
  if (error.code === "permission")
    return { exitCode: 126, message: `${program}: permission denied` };
  return { exitCode: 126, message: `${program}: ${error.message}` };
}
