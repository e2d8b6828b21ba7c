import { GuestError } from "../guest/types.js";
import type { FileFacts, ReadableFiles } from "./space-files.js";
import type { WorkspacePath } from "./workspace-path.js";

/** The etags that a request names, or any that there is. */
export type Etags = "*" | readonly string[];

/** What a request wants to hold for the file, as HTTP has it. */
export interface Conditions {
  ifMatch?: Etags | undefined;
  ifNoneMatch?: Etags | undefined;
}

/**
 * Runs a write under its request's conditions, which the write itself minds, so that of several at once one wins.
 * Throws `GuestError` "precondition" where they don't hold.
 */
export async function conditional<T>(
  files: ReadableFiles,
  path: WorkspacePath,
  { ifMatch, ifNoneMatch }: Conditions,
  write: (options: { ifMatch?: string; exclusive?: true }) => Promise<T>,
): Promise<T> {
  if (path.isRoot) throw new GuestError("is_directory", "is the workspace itself");
  if (ifNoneMatch === "*") return await write({ exclusive: true }).catch(existsAsPrecondition);
  if (ifMatch === undefined && ifNoneMatch === undefined) return await write({});
  const facts = await files.stat(path.bytes, { followLinks: true }).catch(missing);
  if (facts && ifNoneMatch && names(ifNoneMatch, facts)) throw unmet();
  if (ifMatch === undefined) return await write({});
  if (!facts?.etag || !names(ifMatch, facts)) throw unmet();
  return await write({ ifMatch: facts.etag });
}

/** Whether a list of etags names a file's. */
export const names = (etags: Etags, { etag }: FileFacts) =>
  etags === "*" || (etag !== undefined && etags.includes(etag));

const unmet = () => new GuestError("precondition", "the file is another one by now");

function missing(error: unknown): undefined {
  if (error instanceof GuestError && error.code === "not_found") return undefined;
  throw error;
}

function existsAsPrecondition(error: unknown): never {
  throw error instanceof GuestError && error.code === "exists" ? unmet() : error;
}
