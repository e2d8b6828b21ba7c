import type { ErrorBody, Issue } from "./errors.js";

/** Every error code the API answers with, and the HTTP status that carries it. */
export const ERROR_STATUS = {
  invalid_request: 400,
  unauthorized: 401,
  /** Another server, a git remote, refused the credentials; the key of this API is fine. */
  git_auth_failed: 401,
  forbidden: 403,
  not_found: 404,
  exists: 409,
  wrong_state: 409,
  /** A git remote or the work tree has changes that this would overwrite. */
  git_conflict: 409,
  /** Two nodes have a space of that name. */
  ambiguous: 409,
  /** All GPUs that would do are held by spaces. */
  gpu_busy: 409,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  range_not_satisfiable: 416,
  unprocessable: 422,
  insufficient_resources: 422,
  image_unavailable: 422,
  rate_limited: 429,
  cancelled: 499,
  internal: 500,
  space_broken: 502,
  /** Nothing answers at the address; a client's own finding. */
  unreachable: 502,
  node_unreachable: 502,
  engine_unavailable: 503,
  /** The audit log can't be written, so nothing may be changed; reads go on. */
  audit_unavailable: 503,
  timed_out: 504,
  no_space_left: 507,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** The one error class of the product: a stable code, a message to act on, optionally the fields at fault. */
export class ClawdspaceError extends Error {
  override readonly name = "ClawdspaceError";
  readonly code: ErrorCode;
  readonly issues: Issue[] | undefined;
  /** When it makes sense to try again, where that is known. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { issues?: Issue[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.issues = options.issues;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  /** The HTTP status that this error is answered with. */
  get status(): number {
    return ERROR_STATUS[this.code];
  }

  toBody(): ErrorBody {
    return {
      error: this.message,
      code: this.code,
      ...(this.issues ? { issues: this.issues } : {}),
    };
  }
}
