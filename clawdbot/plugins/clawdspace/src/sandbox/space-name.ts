import { createHash } from "node:crypto";
import { hostname } from "node:os";

const SLUG_CHARACTERS = 36;
const HASH_CHARACTERS = 10;

/**
 * The name of the space for a scope of a gateway: the same each time, and another one for a gateway of another machine or
 * another workspace, which may use the same daemon.
 */
export function spaceName(prefix: string, scopeKey: string, workspaceDir: string): string {
  const slug = scopeKey
    .toLowerCase()
    // Common to all, or a hash already.
    .replace(/^agent:|:workspace:[0-9a-f]+$/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, SLUG_CHARACTERS)
    .replace(/^-+|-+$/g, "");
  const hash = createHash("sha256")
    .update(JSON.stringify([hostname(), workspaceDir, scopeKey]))
    .digest("hex");
  return [prefix, slug, hash.slice(0, HASH_CHARACTERS)].filter((part) => part !== "").join("-");
}
