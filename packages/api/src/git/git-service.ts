import { posix } from "node:path";
import {
  ClawdspaceError,
  type ExecResult,
  type GitCheckoutRequest,
  type GitCloneRequest,
  type GitCommitRequest,
  type GitHead,
  type GitPullAnswer,
  type GitPullRequest,
  type GitPushRequest,
  type GitStatus,
} from "@clawdspace/protocol";
import { WORKSPACE } from "../spaces/container-spec.js";
import type { SpaceEntry } from "../spaces/space-entry.js";
import { credentialsFor, splitCredentials } from "./credentials.js";
import { gitError, kindOfFailure } from "./git-errors.js";
import type { GitRunner } from "./git-runner.js";
import { parseStatus } from "./git-status.js";
import { githubToken } from "./github-token.js";

export interface CloneOptions {
  signal: AbortSignal;
  /** The space's own environment, whose GITHUB_TOKEN serves where no token is given. */
  env: Record<string, string>;
  onLine?: (line: string) => void;
}

/**
 * git in spaces: run as the space's user; a token reaches only the one git process that needs it. Where a path leads is
 * looked at before git starts; what git then opens it finds by itself, as any command of the space's user does.
 */
export class GitService {
  /** @param leadsOut throws `invalid_request` for a path, relative to the workspace, from which a symlink leads out. */
  constructor(
    private readonly git: GitRunner,
    private readonly leadsOut: (entry: SpaceEntry, path: string) => Promise<void>,
  ) {}

  /**
   * Clones a repository below /workspace; afterwards `origin` holds the URL without credentials.
   * Throws `invalid_request`, `git_auth_failed`, `git_conflict` where the folder isn't empty, else `unprocessable`.
   */
  async clone(
    entry: SpaceEntry,
    request: GitCloneRequest,
    { signal, env, onLine }: CloneOptions,
  ): Promise<GitHead> {
    const dest = posix.resolve(WORKSPACE, request.dest);
    if (!dest.startsWith(`${WORKSPACE}/`)) {
      throw outside("dest", "must be a folder below /workspace");
    }
    await this.leadsOut(entry, rooted(dest));
    const { url, username, password } = splitCredentials(request.url);
    const token = request.token ?? password ?? (await githubToken(url, env));
    const args = [
      ...["clone", "--progress"],
      ...(request.branch ? ["--branch", request.branch] : []),
      ...(request.depth ? ["--depth", `${request.depth}`] : []),
      ...(request.submodules ? ["--recurse-submodules"] : []),
      ...(request.submodules && request.depth ? ["--shallow-submodules"] : []),
      ...["--", url, dest],
    ];
    const cloned = await this.git.run(entry, args, {
      signal,
      onLine,
      token,
      credentials: credentialsFor(url, token, request.token ? undefined : username),
      env: request.lfs === false ? { GIT_LFS_SKIP_SMUDGE: "1" } : {},
    });
    if (cloned.exitCode !== 0) {
      throw gitError("The repository could not be cloned.", cloned.stderr, "url");
    }
    return await this.#head(entry, dest, signal);
  }

  /**
   * Pushes a branch; the answer is git's own, the token masked.
   * Throws `git_conflict` where the remote has what is missing here, `git_auth_failed`, `invalid_request`.
   */
  async push(entry: SpaceEntry, request: GitPushRequest, signal: AbortSignal): Promise<ExecResult> {
    const repo = await this.#repository(entry, request.repoPath);
    const credentials = await this.#credentials(entry, repo, request, ["--push"], signal);
    // What a push runs is git alone, whichever hooks the repository has.
    const args = ["-c", "core.hooksPath=/dev/null", "-C", repo, "push", "--"];
    args.push(request.remote, request.branch);
    const { token } = request;
    const pushed = await this.git.run(entry, args, { signal, credentials, token });
    const kind = kindOfFailure(pushed.stderr);
    if (pushed.exitCode !== 0 && (kind === "git_conflict" || kind === "git_auth_failed")) {
      throw gitError(`"${request.branch}" could not be pushed.`, pushed.stderr);
    }
    return pushed;
  }

  /**
   * Takes in what a remote's branch has: by fast-forward, or with `rebase` by putting own commits on top. One that
   * doesn't go through is undone. Throws `git_conflict`, `git_auth_failed`, `not_found`, `unprocessable`.
   */
  async pull(
    entry: SpaceEntry,
    request: GitPullRequest,
    signal: AbortSignal,
  ): Promise<GitPullAnswer> {
    const repo = await this.#repository(entry, request.repoPath);
    const before = await this.#head(entry, repo, signal);
    const branch = request.branch ?? before.branch;
    if (branch === undefined) {
      throw new ClawdspaceError(
        "invalid_request",
        "HEAD is at no branch, so say which one to pull.",
        { issues: [{ path: "branch", message: "is needed where HEAD is at no branch" }] },
      );
    }
    const what = `"${branch}" could not be pulled.`;
    const credentials = await this.#credentials(entry, repo, request, [], signal);
    // The token is for the fetch alone: what the merge runs, such as hooks and filters, needs none.
    const fetch = ["-C", repo, "fetch", "--", request.remote, branch];
    await this.#must(entry, fetch, { signal, credentials, token: request.token }, what);
    const [merge, abort] = request.rebase
      ? [
          ["rebase", "FETCH_HEAD"],
          ["rebase", "--abort"],
        ]
      : [["merge", "--ff-only", "FETCH_HEAD"], undefined];
    const merged = await this.git.run(entry, ["-C", repo, ...merge], { signal });
    if (merged.exitCode !== 0) {
      if (abort) await this.git.run(entry, ["-C", repo, ...abort], { signal });
      throw gitError(what, `${merged.stdout}\n${merged.stderr}`);
    }
    const repository = await this.#head(entry, repo, signal);
    return { repository, updated: repository.head !== before.head };
  }

  /** Commits everything that changed, or the given paths, or what is staged. Throws `wrong_state` where that is nothing. */
  async commit(
    entry: SpaceEntry,
    request: GitCommitRequest,
    signal: AbortSignal,
  ): Promise<GitHead> {
    const repo = await this.#repository(entry, request.repoPath);
    const what = "Nothing was committed.";
    if (!request.staged) {
      const add = request.paths ? ["add", "--", ...request.paths] : ["add", "--all"];
      await this.#must(entry, ["-C", repo, ...add], { signal, env: LITERAL }, what);
    }
    const { name, email } = request.author ?? {};
    const identity =
      name && email
        ? {
            ...{ GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email },
            ...{ GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email },
          }
        : {};
    const only = request.paths ? ["--only", "--", ...request.paths] : [];
    const args = ["-C", repo, "commit", "--file=-", ...only];
    const committed = await this.git.run(entry, args, {
      signal,
      stdin: request.message,
      env: { ...LITERAL, ...identity },
    });
    if (committed.exitCode === 0) return await this.#head(entry, repo, signal);
    if (/nothing (added )?to commit|no changes added/.test(committed.stdout)) {
      throw new ClawdspaceError("wrong_state", "There is nothing to commit.");
    }
    throw gitError(what, `${committed.stdout}\n${committed.stderr}`);
  }

  /** Moves HEAD and the work tree to a branch, a tag or a commit. Throws `git_conflict`, `not_found`, `unprocessable`. */
  async checkout(
    entry: SpaceEntry,
    request: GitCheckoutRequest,
    signal: AbortSignal,
  ): Promise<GitHead> {
    const repo = await this.#repository(entry, request.repoPath);
    const target = request.create ? ["-b", request.ref] : [request.ref, "--"];
    const what = `"${request.ref}" could not be checked out.`;
    await this.#must(entry, ["-C", repo, "checkout", ...target], { signal }, what);
    return await this.#head(entry, repo, signal);
  }

  /** Throws `not_found` where there is no repository. */
  async status(entry: SpaceEntry, repoPath: string, signal: AbortSignal): Promise<GitStatus> {
    const repo = await this.#repository(entry, repoPath);
    const args = ["-C", repo, "status", "--porcelain=v2", "--branch", "-z"];
    // A look at a repository must not hold up what works in it.
    const run = { signal, env: { GIT_OPTIONAL_LOCKS: "0" } };
    const { stdout } = await this.#must(entry, args, run, "The repository can't be looked at.");
    return { repoPath: rooted(repo), ...parseStatus(stdout) };
  }

  async #repository(entry: SpaceEntry, repoPath: string): Promise<string> {
    const repo = belowWorkspace(repoPath, "repoPath");
    await this.leadsOut(entry, rooted(repo));
    return repo;
  }

  async #head(entry: SpaceEntry, repo: string, signal: AbortSignal): Promise<GitHead> {
    const { branch, head } = await this.status(entry, rooted(repo), signal);
    return {
      repoPath: rooted(repo),
      ...(branch === undefined ? {} : { branch }),
      ...(head === undefined ? {} : { head }),
    };
  }

  /** The credentials for the server that a remote's own config names now; none for what is not https. */
  async #credentials(
    entry: SpaceEntry,
    repo: string,
    { remote, token }: { remote: string; token?: string | undefined },
    flags: string[],
    signal: AbortSignal,
  ) {
    const args = ["-C", repo, "remote", "get-url", ...flags, "--", remote];
    const { stdout } = await this.git.run(entry, args, { signal });
    return credentialsFor(stdout, token);
  }

  async #must(
    entry: SpaceEntry,
    args: string[],
    run: Parameters<GitRunner["run"]>[2],
    what: string,
  ): Promise<ExecResult> {
    const result = await this.git.run(entry, args, run);
    if (result.exitCode !== 0) throw gitError(what, result.stderr);
    return result;
  }
}

/** Paths are names, not patterns. */
const LITERAL = { GIT_LITERAL_PATHSPECS: "1" };

/** The path as the API tells it: rooted at /workspace. */
const rooted = (path: string) => path.slice(WORKSPACE.length) || "/";

function belowWorkspace(path: string, field: string): string {
  const full = posix.resolve(WORKSPACE, path.replace(/^\/+/, ""));
  if (full === WORKSPACE || full.startsWith(`${WORKSPACE}/`)) return full;
  throw outside(field, "must lie below /workspace");
}

const outside = (path: string, message: string) =>
  new ClawdspaceError("invalid_request", `${path} ${message}.`, { issues: [{ path, message }] });
