import { ClawdspaceError, type CreateSpaceRequest } from "@clawdspace/protocol";
import type { GitService } from "../git/git-service.js";
import type { ProcessHosts } from "../processes/process-hosts.js";
import type { TemplateStore } from "../templates/template-store.js";
import { WORKSPACE } from "./container-spec.js";
import type { EnvStore } from "./env-store.js";
import type { Furnish } from "./space-service.js";

interface Parts {
  envs: EnvStore;
  hosts: ProcessHosts;
  git: GitService;
  templates: TemplateStore;
  writeFile: (entry: Parameters<Furnish>[0], path: string, data: Buffer) => Promise<void>;
}

/** What a new space gets before it is handed out: its environment, its env file, its repository. */
export const furnishWith =
  ({ envs, hosts, git, templates, writeFile }: Parts): Furnish =>
  async (entry, request, { signal, onProgress }) => {
    await envs.set(entry, request.env ?? {});
    // Connected now, so that the first command after the create is an ordinary one.
    await hosts.of(entry);
    const file = envFile(request);
    if (file) {
      onProgress({ type: "progress", step: "env", message: `Writing ${file.path}` });
      await writeFile(entry, file.path.slice(WORKSPACE.length), file.data);
    }
    const { repoUrl } = request;
    if (repoUrl) {
      const template = request.template ? await templates.get(request.template) : undefined;
      const onLine = (message: string) => onProgress({ type: "progress", step: "clone", message });
      onLine("Cloning the repository");
      await git.clone(entry, { ...request, repoUrl }, template?.workspace?.defaultRepoDest, {
        signal,
        onLine,
      });
    }
  };

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
