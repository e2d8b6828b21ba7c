import { GuestError } from "../guest/types.js";
import { naming } from "./file-errors.js";
import type { ReadableFiles } from "./space-files.js";
import type { WorkspacePath } from "./workspace-path.js";

/** Throws `invalid_request` where a symlink on a path's way leads out of the workspace; the path need not be there. */
export async function mustLieInside(
  files: Pick<ReadableFiles, "stat">,
  path: WorkspacePath,
): Promise<void> {
  for (let at = path; !at.isRoot; at = at.parent) {
    try {
      return void (await naming(path, () => files.stat(at.bytes, { followLinks: true })));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

const isMissing = (error: unknown) =>
  error instanceof Error &&
  error.cause instanceof GuestError &&
  ["not_found", "not_directory"].includes(error.cause.code);
