import { isUtf8 } from "node:buffer";
import { ClawdspaceError } from "@clawdspace/protocol";

/** Linux's own limit for one name, in bytes. */
const MAX_NAME_BYTES = 255;
/** Linux's limit for a path is 4096 with its NUL; "/workspace/" is in front of ours. */
const MAX_PATH_BYTES = 4096 - "/workspace/".length - 1;
const SLASH = 0x2f;

/** A place as a request names it: `path` is rooted at /workspace, `pathBase64` the same as bytes. */
export interface PlaceInput {
  path?: string | undefined;
  pathBase64?: string | undefined;
}

/** A path below /workspace that names nothing outside of it by itself; symlinks are for whoever opens it to mind. */
export class WorkspacePath {
  static readonly root = new WorkspacePath([]);

  private constructor(readonly segments: readonly Buffer[]) {}

  /**
   * Takes a place from a request; neither form given is the workspace itself.
   * @param field what the request calls it, for the message. Throws `invalid_request`.
   */
  static of(input: PlaceInput, field = "path"): WorkspacePath {
    if (input.path !== undefined && input.pathBase64 !== undefined) {
      throw invalid(`${field}Base64`, `give either ${field} or ${field}Base64, not both`);
    }
    if (input.pathBase64 !== undefined) {
      const bytes = Buffer.from(input.pathBase64, "base64");
      return WorkspacePath.fromBytes(bytes, `${field}Base64`);
    }
    return WorkspacePath.fromBytes(Buffer.from(input.path ?? ""), field);
  }

  /** @param bytes segments divided by "/"; empty ones and "." fall away. Throws `invalid_request`. */
  static fromBytes(bytes: Buffer, field = "path"): WorkspacePath {
    if (bytes.includes(0)) throw invalid(field, "must not hold NUL characters");
    const segments = split(bytes).filter((name) => name.length > 0 && !equals(name, "."));
    if (segments.some((name) => equals(name, ".."))) {
      throw invalid(
        field,
        'must not hold "..": paths are rooted at /workspace, none leads out of it',
      );
    }
    if (segments.some((name) => name.length > MAX_NAME_BYTES)) {
      throw invalid(
        field,
        `has a name of more than ${MAX_NAME_BYTES} bytes, which Linux can't hold`,
      );
    }
    const path = new WorkspacePath(segments);
    if (path.bytes.length > MAX_PATH_BYTES) {
      throw invalid(field, `is longer than ${MAX_PATH_BYTES} bytes`);
    }
    return path;
  }

  get isRoot(): boolean {
    return this.segments.length === 0;
  }

  /** Relative to the workspace, without a leading "/"; "." for the workspace itself. */
  get bytes(): Buffer {
    return this.isRoot ? Buffer.from(".") : join(this.segments);
  }

  /** The last name; empty for the workspace itself. */
  get name(): Buffer {
    return this.segments.at(-1) ?? Buffer.alloc(0);
  }

  get parent(): WorkspacePath {
    return new WorkspacePath(this.segments.slice(0, -1));
  }

  /** @param name one name, or a path below this one, that a listing told. Throws `invalid_request`. */
  join(name: Buffer): WorkspacePath {
    return WorkspacePath.fromBytes(Buffer.concat([this.bytes, Buffer.from("/"), name]));
  }

  /** Whether `other` is this path or lies below it. */
  contains(other: WorkspacePath): boolean {
    return this.segments.every((name, at) => other.segments[at]?.equals(name));
  }

  get isUtf8(): boolean {
    return isUtf8(this.bytes);
  }

  /** As the wire shows it, rooted at the workspace; bytes that are not UTF-8 show as U+FFFD. */
  toString(): string {
    return `/${join(this.segments).toString("utf8")}`;
  }

  /** The wire's fields for this path. */
  toFields(): { path: string; pathBase64?: string } {
    const path = this.toString();
    return this.isUtf8
      ? { path }
      : { path, pathBase64: Buffer.concat([Buffer.from("/"), this.bytes]).toString("base64") };
  }
}

const equals = (name: Buffer, text: string) => name.toString("latin1") === text;

function join(segments: readonly Buffer[]): Buffer {
  return Buffer.from(segments.map((name) => name.toString("latin1")).join("/"), "latin1");
}

function split(bytes: Buffer): Buffer[] {
  const segments: Buffer[] = [];
  for (let at = 0; at <= bytes.length; ) {
    const slash = bytes.indexOf(SLASH, at);
    const end = slash < 0 ? bytes.length : slash;
    segments.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return segments;
}

function invalid(field: string, message: string): ClawdspaceError {
  return new ClawdspaceError("invalid_request", `The path can't be used: ${field} ${message}.`, {
    issues: [{ path: field, message }],
  });
}
