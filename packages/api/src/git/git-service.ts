import { posix } from "node:path";
import {
  ClawdspaceError,
  type CreateSpaceRequest,
  type ExecResult,
  type GitPushRequest,
} from "@clawdspace/protocol";
import { captureExec } from "../processes/capture.js";
import type { CommandRunner } from "../processes/command-runner.js";
import { WORKSPACE } from "../spaces/container-spec.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { gitEnv, maskTokens, splitCredentials } from "./credentials.js";
import { githubToken } from "./github-token.js";

const DEFAULT_DEST = "repo";

/** git in spaces: run as the space's user; a token reaches only the one git process that needs it. */
export class GitService {
  constructor(private readonly commands: CommandRunner) {}

  /**
   * Clones a create's repository below /workspace; afterwards `origin` holds the URL without credentials.
   * Throws `unprocessable` with git's own words.
   */
  async clone(
    entry: SpaceEntry,
    request: CreateSpaceRequest & { repoUrl: string },
    defaultDest: string | undefined,
    options: { signal: AbortSignal; onLine: (line: string) => void },
  ): Promise<void> {
    const dest = posix.resolve(WORKSPACE, request.repoDest ?? defaultDest ?? DEFAULT_DEST);
    if (!dest.startsWith(`${WORKSPACE}/`)) {
      throw new ClawdspaceError("invalid_request", "repoDest must be a folder below /workspace.", {
        issues: [{ path: "repoDest", message: "must be a folder below /workspace" }],
      });
    }
    const { url, username, password } = splitCredentials(request.repoUrl);
    const token = password ?? (await githubToken(url, request.env ?? {}));
    const branch = request.repoBranch ? ["--branch", request.repoBranch] : [];
    const command = ["git", "clone", "--progress", ...branch, "--", url, dest];
    const result = await this.#run(entry, command, { token, username, signal: options.signal });
    for (const line of result.stderr.split(/[\r\n]+/)) if (line) options.onLine(line);
    if (result.exitCode === 0) return;
    throw new ClawdspaceError(
      "unprocessable",
      `The repository could not be cloned, so the space was not made. git says: ${lastLines(result.stderr)}`,
      { issues: [{ path: "repoUrl", message: lastLines(result.stderr) }] },
    );
  }

  /** Pushes a branch; the answer is git's own, the token masked. Throws `invalid_request` for a path outside /workspace. */
  async push(entry: SpaceEntry, request: GitPushRequest, signal: AbortSignal): Promise<ExecResult> {
    const repo = posix.resolve(WORKSPACE, `./${request.repoPath}`);
    if (repo !== WORKSPACE && !repo.startsWith(`${WORKSPACE}/`)) {
      throw new ClawdspaceError("invalid_request", "repoPath must lie below /workspace.", {
        issues: [{ path: "repoPath", message: "must lie below /workspace" }],
      });
    }
    const command = ["git", "-C", repo, "push", "--", request.remote, request.branch];
    return await this.#run(entry, command, { token: request.token, username: undefined, signal });
  }

  async #run(
    entry: SpaceEntry,
    command: string[],
    options: { token: string | undefined; username: string | undefined; signal: AbortSignal },
  ): Promise<ExecResult> {
    const env = gitEnv(options.token, options.username);
    const result = await captureExec(
      this.commands.run(entry, { command, env }, options.signal),
      {},
    );
    options.signal.throwIfAborted();
    return {
      ...result,
      stdout: maskTokens(result.stdout, options.token),
      stderr: maskTokens(result.stderr, options.token),
    };
  }
}

const lastLines = (text: string) => text.trim().split("\n").slice(-5).join("\n");
