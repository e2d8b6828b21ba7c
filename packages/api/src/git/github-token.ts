import { execFile } from "node:child_process";
import { promisify } from "node:util";

const GH_TIMEOUT_MS = 3000;

/** The token for a GitHub https URL: the space's own GITHUB_TOKEN, else the one that `gh` on this node has; else none. */
export async function githubToken(
  url: string,
  env: Record<string, string>,
): Promise<string | undefined> {
  if (!/^https:\/\/(www\.)?github\.com\//i.test(url)) return undefined;
  if (env.GITHUB_TOKEN) return env.GITHUB_TOKEN;
  try {
    const { stdout } = await promisify(execFile)("gh", ["auth", "token"], {
      timeout: GH_TIMEOUT_MS,
    });
    return stdout.trim() || undefined;
  } catch {
    // No gh on this node, or nobody signed in: the repository may be public.
    return undefined;
  }
}
