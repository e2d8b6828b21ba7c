import {
  ClawdspaceError,
  type CreateSpaceRequest,
  GitCloneRequestSchema,
  type Template,
} from "@clawdspace/protocol";
import type { GitService } from "../git/git-service.js";
import type { CommandRunner } from "../processes/command-runner.js";
import type { ProcessHosts } from "../processes/process-hosts.js";
import { WORKSPACE } from "./container-spec.js";
import type { CreateOptions, Furnish } from "./create-options.js";
import type { EnvStore } from "./env-store.js";
import { runSetup } from "./setup.js";
import type { SpaceEntry } from "./space-entry.js";

interface Parts {
  envs: EnvStore;
  hosts: ProcessHosts;
  git: GitService;
  commands: CommandRunner;
  writeFile: (entry: Parameters<Furnish>[0], path: string, data: Buffer) => Promise<void>;
}

/** What a new space gets before it is handed out: its environment, its env file, its repository, its template's set-up. */
export const furnishWith = (parts: Parts): Furnish => {
  const { envs, hosts, writeFile } = parts;
  return async (entry, request, template, { signal, onProgress, onKept }) => {
    await envs.set(entry, { ...template.env, ...request.env });
    // Connected now, so that the first command after the create is an ordinary one.
    await hosts.of(entry);
    const file = envFile(request);
    if (file) {
      onProgress({ type: "progress", step: "env", message: `Writing ${file.path}` });
      await writeFile(entry, file.path.slice(WORKSPACE.length), file.data);
    }
    try {
      await fillWorkspace(parts, entry, request, template, { signal, onProgress });
    } catch (error) {
      if (!request.keepOnError || signal.aborted || !(error instanceof ClawdspaceError))
        throw error;
      const { code, issues } = error;
      const message = `${error.message}\nSpace "${request.name}" was kept, as keepOnError says.`;
      onKept(new ClawdspaceError(code, message, { ...(issues ? { issues } : {}), cause: error }));
    }
  };
};

/** Clones the repository and runs the template's set-up. */
async function fillWorkspace(
  { git, commands }: Parts,
  entry: SpaceEntry,
  request: CreateSpaceRequest,
  template: Template,
  { signal, onProgress }: CreateOptions,
): Promise<void> {
  const { repoUrl } = request;
  if (repoUrl) {
    const onLine = (message: string) => onProgress({ type: "progress", step: "clone", message });
    onLine("Cloning the repository");
    const dest = template.workspace?.defaultRepoDest;
    await clone(git, entry, { ...request, repoUrl }, dest, { signal, onLine });
  }
  const setup = typeof template.setup === "string" ? [template.setup] : (template.setup ?? []);
  await runSetup(commands, entry, setup, {
    signal,
    onOutput: (message) => onProgress({ type: "progress", step: "setup", message }),
  });
}

/** Throws `unprocessable`, or `invalid_request`, in the words of a create. */
async function clone(
  git: GitService,
  entry: SpaceEntry,
  request: CreateSpaceRequest & { repoUrl: string },
  defaultDest: string | undefined,
  options: { signal: AbortSignal; onLine: (line: string) => void },
): Promise<void> {
  const wanted = GitCloneRequestSchema.parse({
    url: request.repoUrl,
    dest: request.repoDest ?? defaultDest,
    branch: request.repoBranch,
    depth: request.repoDepth,
    submodules: request.repoSubmodules,
    lfs: request.repoLfs,
    token: request.gitToken,
  });
  try {
    await git.clone(entry, wanted, { ...options, env: request.env ?? {} });
  } catch (error) {
    if (!(error instanceof ClawdspaceError) || options.signal.aborted) throw error;
    const code = error.code === "invalid_request" ? error.code : "unprocessable";
    const issues = error.issues?.map(({ path, message }) => ({
      path: path === "dest" ? "repoDest" : "repoUrl",
      message,
    }));
    throw new ClawdspaceError(code, error.message, { ...(issues ? { issues } : {}), cause: error });
  }
}

function envFile(request: CreateSpaceRequest): { path: string; data: Buffer } | undefined {
  const path = request.envFilePath ?? `${WORKSPACE}/.env`;
  if (request.envFileText !== undefined) return { path, data: Buffer.from(request.envFileText) };
  if (request.envFileBase64 !== undefined) {
    return { path, data: Buffer.from(request.envFileBase64, "base64") };
  }
  if (request.envFilePath === undefined) return undefined;
  throw new ClawdspaceError(
    "invalid_request",
    "envFilePath says where, but neither envFileText nor envFileBase64 says what.",
    { issues: [{ path: "envFilePath", message: "needs envFileText or envFileBase64" }] },
  );
}
