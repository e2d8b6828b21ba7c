import type { Duplex } from "node:stream";
import { ClawdspaceError, type ErrorCode } from "@clawdspace/protocol";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { EngineError, type EngineErrorKind } from "../engine/engine.js";
import { GuestError, type GuestErrorCode } from "../guest/types.js";
import { describeIssues, toIssues } from "./validation-issues.js";

const ENGINE_CODES: Record<EngineErrorKind, ErrorCode> = {
  not_found: "not_found",
  conflict: "wrong_state",
  invalid: "unprocessable",
  unavailable: "engine_unavailable",
  failed: "internal",
};

const GUEST_CODES: Record<GuestErrorCode, ErrorCode> = {
  unavailable: "space_broken",
  version: "space_broken",
  protocol: "space_broken",
  closed: "wrong_state",
  aborted: "cancelled",
  timeout: "timed_out",
  not_found: "not_found",
  exists: "exists",
  invalid: "invalid_request",
  permission: "forbidden",
  outside: "invalid_request",
  not_directory: "wrong_state",
  is_directory: "wrong_state",
  not_empty: "wrong_state",
  precondition: "precondition_failed",
  refused: "wrong_state",
  no_space: "no_space_left",
  limit: "unprocessable",
  unsupported: "unprocessable",
  io: "internal",
};

const STATUS_CODES: Record<number, ErrorCode> = {
  400: "invalid_request",
  404: "not_found",
  413: "too_large",
  415: "unsupported_media_type",
  429: "rate_limited",
};

/** Any failure as the one kind of error that leaves the daemon; what nobody foresaw becomes "internal", its text withheld. */
export function toClawdspaceError(error: unknown): ClawdspaceError {
  if (error instanceof ClawdspaceError) return error;
  if (error instanceof EngineError)
    return new ClawdspaceError(ENGINE_CODES[error.kind], error.message, { cause: error });
  if (error instanceof GuestError)
    return new ClawdspaceError(GUEST_CODES[error.code], error.message, { cause: error });
  if (hasZodFastifySchemaValidationErrors(error)) {
    const issues = toIssues(error.validation);
    const message = `The request is not valid. ${describeIssues(issues)}`;
    return new ClawdspaceError("invalid_request", message, { issues });
  }
  const { statusCode, message } = (error ?? {}) as Partial<FastifyError>;
  const code = STATUS_CODES[statusCode ?? 500];
  if (code) return new ClawdspaceError(code, message ?? code, { cause: error });
  if (error instanceof Error && error.name === "AbortError")
    return new ClawdspaceError("cancelled", "The client went away.");
  return new ClawdspaceError(
    "internal",
    "Something went wrong in the daemon. Its log tells more under this request's id.",
    { cause: error },
  );
}

/** Answers what never becomes a request of a route, in the contract's shape: for the options of the app. */
export const earlyErrors = {
  frameworkErrors(error: FastifyError, _request: FastifyRequest, reply: FastifyReply) {
    const known = toClawdspaceError(error);
    void reply.status(known.status).send(known.toBody());
  },
  clientErrorHandler(error: Error & { code?: string }, socket: Duplex) {
    if (error.code === "ECONNRESET" || !socket.writable) return socket.destroy();
    const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
    const status = tooLarge ? "431 Request Header Fields Too Large" : "400 Bad Request";
    const known = tooLarge
      ? new ClawdspaceError("too_large", "The request's headers are too large.")
      : new ClawdspaceError("invalid_request", "What was sent is no HTTP request.");
    const body = JSON.stringify(known.toBody());
    socket.end(
      `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    );
  },
};

/** Gives every error of an app the contract's shape. */
export function handleErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const known = toClawdspaceError(error);
    logError(request, known, error);
    if (known.retryAfterSeconds !== undefined) reply.header("retry-after", known.retryAfterSeconds);
    // Fastify would close the connection under a client that still sends; the rest is read and thrown away instead, so
    // that the client gets to read why.
    if (known.code === "too_large") reply.removeHeader("connection");
    return reply.status(known.status).send(known.toBody());
  });
  app.setNotFoundHandler((request, reply) => {
    const [path] = request.url.split("?");
    const error = new ClawdspaceError(
      "not_found",
      `There is no ${request.method} ${path}. See /api/docs.`,
    );
    return reply.status(error.status).send(error.toBody());
  });
}

export function logError(request: FastifyRequest, known: ClawdspaceError, error: unknown): void {
  if (known.status >= 500) request.log.error({ err: error }, known.message);
  else request.log.debug({ code: known.code }, known.message);
}
